import type { TierRule } from './policy.ts'

/** Who a client is, as rules see it. */
export interface RuleSubject {
  readonly user: string
  readonly database: string
  readonly application: string
}

/** The first rule that matches; null: none. */
export function ruleFor(rules: readonly TierRule[], subject: RuleSubject): TierRule | null {
  return rules[rulePlace(rules, subject)] ?? null
}

/** Its place; −1: none matches. */
export function rulePlace(rules: readonly RuleSubject[], { user, database, application }: RuleSubject): number {
  return rules.findIndex(
    (rule) =>
      matchesPattern(rule.user, user) &&
      matchesPattern(rule.database, database) &&
      matchesPattern(rule.application, application),
  )
}

/** Whether `text` is `pattern`, in which `*` stands for any characters. */
export function matchesPattern(pattern: string, text: string): boolean {
  const [first = '', ...rest] = pattern.split('*')
  if (rest.length === 0) return text === pattern
  const last = rest.pop() ?? ''
  if (!text.startsWith(first) || text.length < first.length + last.length || !text.endsWith(last)) return false
  let at = first.length
  const end = text.length - last.length
  for (const part of rest) {
    const found = text.indexOf(part, at)
    if (found < 0 || found + part.length > end) return false
    at = found + part.length
  }
  return true
}

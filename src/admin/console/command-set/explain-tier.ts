import { describeSource, type ProfileView, profileReasons, readProfile } from '../../../analyzer/profile-report.ts'
import type { TierModel } from '../../../analyzer/tier-model.ts'
import { RouterError } from '../../../errors.ts'
import { TIERS } from '../../../shard/tier.ts'
import type { RouterControl } from '../../router-control.ts'
import { clientId, parseSlotId } from '../../slot-id.ts'
import { badArgument } from '../arguments.ts'
import type { QuestionCommand } from '../command.ts'
import { type Field, rowsOf, text } from '../table.ts'

const FIELDS: readonly Field<string>[] = [text('EXPLAIN TIER', (line) => line)]

export const explainTier: QuestionCommand = {
  kind: 'question',
  columns: FIELDS,
  name: 'EXPLAIN TIER',
  argument: 'id',
  summary: 'Why a client has its tier, in words. The id is that of SHOW CLIENTS.',
  prepare(argument) {
    const [number, ...rest] = argument
    if (number?.kind !== 'number' || rest.length > 0) {
      throw badArgument('EXPLAIN TIER', 'EXPLAIN TIER takes one number: the id that SHOW CLIENTS prints.')
    }
    const wanted = Number(number.value)
    return ({ control }) => rowsOf(FIELDS, explain(control, wanted))
  },
}

function explain(control: RouterControl, wanted: number): readonly string[] {
  const { memory } = control
  const { model } = control.analyzer()
  const id = parseSlotId(wanted)
  const isThere = id !== null && id.slot < memory.clients.count && clientId(memory.clients, id.slot) === wanted
  const profile = isThere ? readProfile(memory, id.slot, model, control.nowMonotonic()) : null
  if (profile === null) {
    throw new RouterError('22023', `No client with a profile has the id ${wanted} (any more).`, {
      origin: 'client',
      hint: 'SHOW PROFILES prints the id of each client that has one; those of the console have none.',
    })
  }
  return explanationOf(profile, model, control.values().analyzer.mode)
}

/** Sentences, the most important first. */
export function explanationOf(profile: ProfileView, model: TierModel | null, mode: string): readonly string[] {
  const lines = [`The client is ${profile.tier}. ${describeSource(profile)}`]
  if (profile.probabilities !== null && profile.model !== null) {
    const likely = profile.probabilities.map((p, k) => `${TIERS[k]} ${Math.round(100 * p)} %`)
    lines.push(`The model says ${profile.model} (${likely.join(', ')}), because`)
    for (const { text } of profileReasons(profile, model)) lines.push(`  ${text}.`)
  } else if (profile.isAbstaining) {
    const name = profile.normalised === '' ? 'no application name' : `application "${profile.normalised}"`
    lines.push(
      profile.isNovel
        ? `The model says nothing: it has not seen user "${profile.user}" with ${name}, and nobody who behaves like that.`
        : `The model says nothing yet: it has not seen user "${profile.user}" with ${name}, and only ${profile.queries} queries.`,
    )
  }
  if (mode !== 'enforce' && profile.proposed !== null && profile.proposed !== profile.tier) {
    lines.push(`With analyzer.mode = "enforce" it would be ${profile.proposed}.`)
  }
  if (profile.isRunaway) lines.push('A request of it went beyond the runaway limits.')
  if (profile.rule === null) {
    lines.push('To decide it yourself, write a rule in [[tiers.rules]] and RELOAD.')
  }
  return lines
}

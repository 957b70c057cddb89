import { TIERS } from '../shard/tier.ts'
import { NO_TIER } from './tier-decision.ts'

/** What a client writes in `SET switchyard.tier`, and in its startup packet. */
export const TIER_SETTING = 'switchyard.tier'

const SLASH = 0x2f
const STAR = 0x2a
const SEMICOLON = 0x3b
const SPACE = 0x20
/** How much of a text's end is looked at: comments of sqlcommenter are short. */
const MOST_COMMENT_BYTES = 512

/** The code of the tier that a client named; `NO_TIER` for anything else, and for `auto` and '', which take a hint back. */
export function hintedTier(text: string): number {
  return (TIERS as readonly string[]).indexOf(text.trim().toLowerCase())
}

/**
 * The tier in a comment at the end or the beginning of the SQL in `bytes[start, end)`, in the form of sqlcommenter
 * (https://google.github.io/sqlcommenter/spec/): `… /*tier='low',controller='x'* /`. Most texts cost a look at two bytes.
 */
export function commentHint(bytes: Buffer, start: number, end: number): number {
  let stop = end
  while (stop > start && isBlank(bytes[stop - 1] as number)) stop--
  if (stop - start < 4) return NO_TIER
  if (bytes[stop - 1] === SLASH && bytes[stop - 2] === STAR) {
    const from = Math.max(start, stop - MOST_COMMENT_BYTES)
    const open = bytes.subarray(from, stop - 2).lastIndexOf('/*')
    if (open >= 0) return tierIn(bytes.toString('latin1', from + open + 2, stop - 2))
  }
  if (bytes[start] === SLASH && bytes[start + 1] === STAR) {
    const close = bytes.subarray(start, Math.min(end, start + MOST_COMMENT_BYTES)).indexOf('*/')
    if (close > 0) return tierIn(bytes.toString('latin1', start + 2, start + close))
  }
  return NO_TIER
}

function isBlank(byte: number): boolean {
  return byte <= SPACE || byte === SEMICOLON
}

function tierIn(comment: string): number {
  const found = /(?:^|,)\s*(?:switchyard[._])?tier\s*=\s*'([a-z%0-9]*)'\s*(?:,|$)/i.exec(comment.trim())
  return found === null
    ? NO_TIER
    : hintedTier(decodeURIComponent((found[1] as string).replace(/%(?![0-9a-f]{2})/gi, '')))
}

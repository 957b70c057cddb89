import type { ServerAnswer } from './server-answer.ts'

/** Whether a new server may become a shard; `refused`: it never will. */
export type CatchUp =
  | { readonly kind: 'ready' }
  | { readonly kind: 'behind'; readonly reason: string }
  | { readonly kind: 'refused'; readonly reason: string }

/** Judges a new server by what it and its primary say. `lagBytes`: how far behind it may be. */
export function judgeCatchUp(newcomer: ServerAnswer, primary: ServerAnswer, lagBytes: number): CatchUp {
  if (newcomer.identifier !== null && primary.identifier !== null && newcomer.identifier !== primary.identifier) {
    return { kind: 'refused', reason: 'it holds the data of another cluster than the primary' }
  }
  if (newcomer.position === null) return { kind: 'behind', reason: 'it does not know where its log is' }
  if (!newcomer.position.isInRecovery) return { kind: 'refused', reason: 'it is no replica' }
  if (primary.position === null || primary.position.isInRecovery) {
    return { kind: 'behind', reason: 'its primary is none at the moment' }
  }
  if (newcomer.position.timeline !== primary.position.timeline) {
    const { timeline } = newcomer.position
    return { kind: 'behind', reason: `it is on timeline ${timeline}, its primary on ${primary.position.timeline}` }
  }
  const behind = primary.position.lsn - newcomer.position.lsn
  return behind <= lagBytes ? { kind: 'ready' } : { kind: 'behind', reason: `it is ${behind} bytes behind its primary` }
}

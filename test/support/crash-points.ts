import { planesOf } from './plane-killer.ts'
import type { RouterProcess } from './router-process.ts'
import { waitUntil } from './wait-until.ts'

/** Where a plane dies, as `SWITCHYARD_CRASH` says it: at each so-manieth time that it comes by there. */
export interface CrashPoint {
  readonly point: string
  readonly every: number
}

/** All the places where a death could matter. Primes, so that planes die in the middle of different things. */
export const CRASH_POINTS: readonly CrashPoint[] = [
  { point: 'received', every: 97 },
  { point: 'commit', every: 83 },
  { point: 'committed', every: 71 },
  { point: 'sending', every: 89 },
  { point: 'sent', every: 101 },
]

/** For a router whose planes are to die there. */
export const crashAt = ({ point, every }: CrashPoint): { readonly env: Readonly<Record<string, string>> } => ({
  env: { SWITCHYARD_CRASH: `${point}:${every}` },
})

/** Resolves when so many planes have been seen one after another. */
export async function untilCrashed(router: RouterProcess, planes: number): Promise<void> {
  const seen = new Set<number>()
  await waitUntil(
    'a few crashes',
    () => {
      for (const plane of planesOf(router)) seen.add(plane)
      return seen.size >= planes
    },
    { timeoutMs: 40_000 },
  )
}

import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { formatTable } from './text-table.ts'

/** What of a `.cpuprofile` is used here. https://chromedevtools.github.io/devtools-protocol/tot/Profiler/#type-Profile */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  }[]
  readonly samples: readonly number[]
  /** Microseconds between a sample and the one before it. */
  readonly timeDeltas: readonly number[]
}

export interface FunctionTime {
  readonly name: string
  /** `file:line`, or empty for the engine's own entries such as `(garbage collector)`. */
  readonly place: string
  readonly selfMs: number
  /** Of the time of all functions but the one that sleeps, which has null. */
  readonly percent: number | null
}

/** The plane sleeps in this function, in a system call of its own that the profiler takes for work. */
function sleeps(entry: { readonly name: string; readonly place: string }): boolean {
  return entry.name === 'wait' && entry.place.startsWith('src/io/poller.ts:')
}

/** Functions by the time spent in their own code, most first. Idle time is left out. */
export function selfTimes(profile: CpuProfile): FunctionTime[] {
  const frames = new Map(profile.nodes.map((node) => [node.id, node.callFrame]))
  const times = new Map<string, { name: string; place: string; selfMs: number }>()
  let total = 0
  profile.samples.forEach((id, index) => {
    const frame = frames.get(id)
    const ms = (profile.timeDeltas[index] ?? 0) / 1000
    if (frame === undefined || frame.functionName === '(idle)') return
    const place =
      frame.url === ''
        ? ''
        : `${frame.url.replace(/^.*?(?=(src|node_modules)\/)|^file:\/\//, '')}:${frame.lineNumber + 1}`
    const name = frame.functionName === '' ? '(anonymous)' : frame.functionName
    const entry = times.get(`${name} ${place}`) ?? { name, place, selfMs: 0 }
    entry.selfMs += ms
    if (!sleeps(entry)) total += ms
    times.set(`${name} ${place}`, entry)
  })
  return [...times.values()]
    .sort((a, b) => b.selfMs - a.selfMs)
    .map((entry) => ({ ...entry, percent: sleeps(entry) || total === 0 ? null : (entry.selfMs / total) * 100 }))
}

/** Prints the `top` functions of every profile in a directory that is not older than `sinceMs` (since the epoch). */
export function printProfiles(directory: string, sinceMs: number, top = 30): void {
  const names = readdirSync(directory).filter(
    (name) => name.endsWith('.cpuprofile') && statSync(join(directory, name)).mtimeMs >= sinceMs,
  )
  for (const name of names) {
    const profile: CpuProfile = JSON.parse(readFileSync(join(directory, name), 'utf8'))
    const rows = selfTimes(profile)
      .slice(0, top)
      .map((entry) => [entry.name, entry.place, entry.selfMs.toFixed(0), entry.percent?.toFixed(1) ?? 'sleeps'])
    console.log(`\n${join(directory, name)}: where the time went, without idle time`)
    console.log(formatTable(['function', 'place', 'self ms', '%'], rows, { leftColumns: 2 }))
  }
  if (names.length === 0) console.log('\nNo profile was written: did the planes get --cpu-prof, and end in order?')
}

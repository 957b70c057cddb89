import type { RouterProcess } from '../support/router-process.ts'
import { waitUntil } from '../support/wait-until.ts'

/** What happens to a router, and how often out of a hundred times. */
const EVENTS = { plane: 60, control: 15, keeper: 10, upgrade: 15 } as const
export type MayhemEvent = keyof typeof EVENTS

const SHORTEST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 800
/** Several processes boot one after another, on a machine that has other things to do. */
const RECOVERY = { timeoutMs: 60_000 }

/** One of them; `random` gives numbers from 0 to below 1. */
export function pickEvent(random: () => number): MayhemEvent {
  let left = random() * Object.values(EVENTS).reduce((sum, share) => sum + share, 0)
  for (const [event, share] of Object.entries(EVENTS)) {
    left -= share
    if (left < 0) return event as MayhemEvent
  }
  return 'plane'
}

/**
 * Kills processes of a router (SIGKILL) and upgrades it, at random moments, until `isOver`. One thing at a time: whoever is
 * there twice is there twice again before the next one. Returns how often each happened.
 */
export async function mayhem(
  router: RouterProcess,
  random: () => number,
  isOver: () => boolean,
): Promise<Record<MayhemEvent, number>> {
  const counts = { plane: 0, control: 0, keeper: 0, upgrade: 0 }
  while (!isOver()) {
    const event = pickEvent(random)
    await whole(router)
    const pause = SHORTEST_PAUSE_MS + random() * (LONGEST_PAUSE_MS - SHORTEST_PAUSE_MS)
    await new Promise((resolve) => setTimeout(resolve, pause))
    await HAPPEN[event](router)
    counts[event]++
  }
  await whole(router)
  return counts
}

/** Every process is there, the standby too. */
async function whole(router: RouterProcess): Promise<void> {
  await waitUntil('all processes of the router', () => router.pids.standbys.length > 0, RECOVERY)
}

const HAPPEN: Readonly<Record<MayhemEvent, (router: RouterProcess) => Promise<void>>> = {
  async plane(router) {
    const [plane] = router.pids.planes
    kill(plane)
    await waitUntil('another plane', () => router.pids.planes.some((pid) => pid !== plane), RECOVERY)
  },
  async control(router) {
    const { control } = router.pids
    kill(control)
    await waitUntil('another control', () => router.pids.control !== control, RECOVERY)
  },
  async keeper(router) {
    const { keeper, standbys } = router.pids
    kill(keeper)
    await waitUntil('another keeper', () => router.pids.keeper !== keeper, RECOVERY)
    await waitUntil('another standby', () => !router.pids.standbys.includes(standbys[0] ?? 0), RECOVERY)
  },
  async upgrade(router) {
    const ends = (): number => router.log.filter((line) => /upgrade (done|failed|refused)/.test(line)).length
    const before = ends()
    router.signal('SIGUSR2')
    await waitUntil('the end of the upgrade', () => ends() > before, RECOVERY)
  },
}

function kill(pid: number | undefined): void {
  if (pid !== undefined) process.kill(pid, 'SIGKILL')
}

import type { RouterProcess } from './router-process.ts'
import { waitUntil } from './wait-until.ts'

/** None while one follows another. */
export function planesOf(router: RouterProcess): readonly number[] {
  try {
    return router.pids.planes
  } catch {
    return []
  }
}

/** The plane dies without a word, and another one is there. */
export async function killPlane(router: RouterProcess): Promise<void> {
  const plane = (await waitUntil('a plane', () => planesOf(router)[0])) as number
  process.kill(plane, 'SIGKILL')
  await waitUntil('another plane', () => {
    const [next] = planesOf(router)
    return next !== undefined && next !== plane
  })
}

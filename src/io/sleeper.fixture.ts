import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import type { TestContext } from 'node:test'

/** The id of a process in a session of its own, as a backend is, in the directory of temporary files; it ends with the test. */
export async function sleeper(t: TestContext): Promise<number> {
  const child = spawn('sleep', ['60'], { detached: true, cwd: tmpdir(), stdio: 'ignore' })
  await once(child, 'spawn')
  t.after(async () => {
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  })
  return child.pid as number
}

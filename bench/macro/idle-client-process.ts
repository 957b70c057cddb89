import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { type Cleanup, signalProcess } from './cleanup.ts'
import type { Answer, Command } from './idle-clients.ts'
import type { Address } from './peer.ts'

const entry = fileURLToPath(new URL('idle-clients.ts', import.meta.url))

/** Idle clients, logged in and silent, held by a process of their own so that their memory is not counted with anybody's. */
export class IdleClients {
  readonly stop: () => Promise<void>
  readonly #child: ChildProcess
  readonly #signal: AbortSignal

  constructor(cleanup: Cleanup) {
    const child = fork(entry, [], { execArgv: [], detached: true })
    this.#child = child
    this.#signal = cleanup.signal
    const kill = (): void => {
      if (child.pid !== undefined && child.exitCode === null) signalProcess(child.pid, 'SIGKILL')
    }
    const stop = async (): Promise<void> => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const exit = once(child, 'exit')
      kill()
      await exit
    }
    this.stop = cleanup.add('the idle clients', stop, kill)
  }

  /** Opens clients until there are `total`; returns how long that took, in seconds. Rejects when one is refused. */
  async open(address: Address, total: number): Promise<number> {
    const answer = await this.#ask({ kind: 'open', address, total })
    if (answer.kind !== 'opened') throw new Error(`idle clients: unexpected answer ${answer.kind}`)
    if (answer.total !== total) throw new Error(`only ${answer.total} of ${total} idle clients stayed open`)
    return answer.seconds
  }

  /** Closes all; returns how many the other side had closed before. */
  async close(): Promise<number> {
    const answer = await this.#ask({ kind: 'close' })
    if (answer.kind !== 'closed') throw new Error(`idle clients: unexpected answer ${answer.kind}`)
    return answer.lost
  }

  async #ask(command: Command): Promise<Answer> {
    const ended = new AbortController()
    const onExit = (): void => ended.abort(new Error('the process that holds the idle clients ended'))
    this.#child.once('exit', onExit)
    try {
      const reply = once(this.#child, 'message', { signal: AbortSignal.any([this.#signal, ended.signal]) })
      this.#child.send(command)
      const [answer] = (await reply) as [Answer]
      if (answer.kind === 'failed') throw new Error(`idle clients: ${answer.reason}`)
      return answer
    } finally {
      this.#child.off('exit', onExit)
    }
  }
}

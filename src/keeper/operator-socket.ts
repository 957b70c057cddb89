import { chmodSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { LineDecoder } from '../memory/keeper-control-protocol.ts'
import type { UpgradeNews, UpgradeRequest } from '../memory/upgrade-protocol.ts'
import type { UpgradeListener, UpgradeResult } from './router-upgrade.ts'

/** The router, as `switchyard upgrade` sees it. */
export interface Upgradable {
  upgrade(program: string | null, listener: UpgradeListener): Promise<UpgradeResult>
  /** Everything else runs the program that this process is to run as well. Does not come back when that succeeds. */
  replaceKeeper(): Promise<void>
}

/** What is on its way to whoever asked has left by then. */
const LAST_WORDS_MS = 100

/** Where `switchyard upgrade` speaks to the keeper: a Unix socket that only this user may open. */
export class OperatorSocket {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  constructor(keeper: Upgradable) {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
      // Whoever goes away is not told any more; the upgrade goes on.
      socket.on('error', () => {})
      const decoder = new LineDecoder<UpgradeRequest>()
      socket.setEncoding('utf8')
      socket.on('data', (chunk: string) => {
        try {
          for (const request of decoder.push(chunk)) if (request.op === 'upgrade') void serve(socket, request, keeper)
        } catch {
          socket.destroy()
        }
      })
    })
  }

  /** Takes the place of a socket file that an earlier keeper left. */
  async listen(path: string): Promise<void> {
    rmSync(path, { force: true })
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(path, resolve)
    })
    chmodSync(path, 0o600)
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
  }
}

async function serve(
  socket: Socket,
  { program, keeper: wantsKeeper }: UpgradeRequest,
  keeper: Upgradable,
): Promise<void> {
  const say = (news: UpgradeNews): void => {
    if (!socket.destroyed) socket.write(`${JSON.stringify(news)}\n`)
  }
  const progress = (text: string): void => say({ op: 'progress', text })
  const { outcome, text } = await keeper.upgrade(program, { begun: progress, progress })
  say({ op: outcome, text })
  socket.end()
  if (!wantsKeeper || outcome !== 'done') return
  await new Promise((resolve) => setTimeout(resolve, LAST_WORDS_MS))
  await keeper.replaceKeeper()
}

import { createConnection } from 'node:net'
import { join, resolve } from 'node:path'
import type { Environment } from '../config/environment.ts'
import { ConfigError } from '../errors.ts'
import { LineDecoder } from '../memory/keeper-control-protocol.ts'
import { KEEPER_SOCKET, type UpgradeNews, type UpgradeRequest } from '../memory/upgrade-protocol.ts'
import { noRouter, runDirectoryOf } from './run-directory.ts'

export interface UpgradeFlags {
  /** Of the running router, to find its data directory. */
  readonly config: string | null
  readonly data: string | null
  /** The program that is to take over; null: the one that it was started from, as it is on disk now. */
  readonly to: string | null
  /** The keeper as well. */
  readonly keeper: boolean
}

/**
 * `switchyard upgrade`: has the router of this data directory taken over by another version, or by the same one, and tells
 * how it goes. Returns the exit code: 0 when it was done, 1 when not. Throws `ConfigError` when there is no router.
 */
export async function upgrade(
  { config, data, to, keeper }: UpgradeFlags,
  environment: Environment,
  write: (text: string) => void,
): Promise<number> {
  const path = join(runDirectoryOf({ config, data }, environment), KEEPER_SOCKET)
  const news = await request(path, { op: 'upgrade', program: to === null ? null : resolve(to), keeper }, (text) =>
    write(`${text}\n`),
  )
  write(`${news.op === 'refused' ? `Not upgraded, nothing has happened: ${news.text}` : news.text}\n`)
  return news.op === 'done' ? 0 : 1
}

function request(path: string, wish: UpgradeRequest, progress: (text: string) => void): Promise<UpgradeNews> {
  return new Promise((settle, reject) => {
    const socket = createConnection(path)
    const decoder = new LineDecoder<UpgradeNews>()
    socket.setEncoding('utf8')
    socket.once('error', () => reject(noRouter(path)))
    socket.once('close', () =>
      reject(new ConfigError('The router ended before the upgrade was done; its log says why.')),
    )
    socket.write(`${JSON.stringify(wish)}\n`)
    socket.on('data', (chunk: string) => {
      for (const news of decoder.push(chunk)) {
        if (news.op === 'progress') progress(news.text)
        else {
          settle(news)
          socket.destroy()
        }
      }
    })
  })
}

import { existsSync, readFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { join, resolve } from 'node:path'
import type { Environment } from '../config/environment.ts'
import { loadConfig } from '../config/load-config.ts'
import { localConfig } from '../control/local-settings.ts'
import { ConfigError } from '../errors.ts'
import { LineDecoder } from '../memory/keeper-control-protocol.ts'
import { KEEPER_SOCKET, type UpgradeNews, type UpgradeRequest } from '../memory/upgrade-protocol.ts'

export interface UpgradeFlags {
  /** Of the running router, to find its data directory. */
  readonly config: string | null
  readonly data: string | null
  /** The program that is to take over; null: the one that it was started from, as it is on disk now. */
  readonly to: string | null
}

/**
 * `switchyard upgrade`: has the router of this data directory taken over by another version, or by the same one, and tells
 * how it goes. Returns the exit code: 0 when it was done, 1 when not. Throws `ConfigError` when there is no router.
 */
export async function upgrade(
  { config, data, to }: UpgradeFlags,
  environment: Environment,
  write: (text: string) => void,
): Promise<number> {
  const all = data === null ? environment : { ...environment, SWITCHYARD_DATA: data }
  const { directory } = (config === null ? localConfig(all) : loadConfig(config, all)).data
  const path = keeperSocket(resolve(directory))
  const news = await request(path, { op: 'upgrade', program: to === null ? null : resolve(to) }, (text) =>
    write(`${text}\n`),
  )
  write(`${news.op === 'refused' ? `Not upgraded, nothing has happened: ${news.text}` : news.text}\n`)
  return news.op === 'done' ? 0 : 1
}

function keeperSocket(dataDirectory: string): string {
  const lock = join(dataDirectory, 'switchyard.lock')
  const [, runDirectory] = existsSync(lock) ? readFileSync(lock, 'utf8').split('\n') : []
  if (runDirectory === undefined || runDirectory === '') throw noRouter(dataDirectory)
  return join(runDirectory, KEEPER_SOCKET)
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

function noRouter(place: string): ConfigError {
  return new ConfigError(
    `No router answers at ${place}; name the data directory of one that runs with --data, SWITCHYARD_DATA or --config.`,
  )
}

import { join } from 'node:path'
import { readTextIfExists, writePrivateFile } from './account-files.ts'
import { movedConnInfo } from './conninfo.ts'
import type { LocalServer } from './local-servers.ts'
import { type PrimaryAddress, type ServerAddress, withServer } from './server-client.ts'
import { passFileName, passFileText, primaryConnInfo, replaceAutoSettings, slotName } from './server-settings.ts'

const AUTO_FILE = 'postgresql.auto.conf'

/** Makes a stopped server a replica of `primary` from its next start on. */
export async function followWhenStarted(server: LocalServer, primary: PrimaryAddress): Promise<void> {
  const { data } = server.directory
  const path = join(data, AUTO_FILE)
  const text = (await readTextIfExists(path)) ?? ''
  const before = /^\s*primary_conninfo\s*=\s*'((?:[^'\\]|''|\\.)*)'/m.exec(text)?.[1] ?? ''
  if (before === '') await writePassFile(server, primary)
  await writePrivateFile(
    path,
    replaceAutoSettings(text, {
      primary_conninfo: connInfo(before.replaceAll("''", "'").replaceAll('\\\\', '\\'), primary),
      primary_slot_name: slotName(server.name),
    }),
    server.account,
  )
  await writePrivateFile(join(data, 'standby.signal'), '', server.account)
}

/** Makes a running replica follow `primary`; it reconnects by itself. */
export async function followNow(server: LocalServer, login: ServerAddress, primary: PrimaryAddress): Promise<void> {
  await withServer(login, async (client) => {
    const { rows } = await client.query<{ info: string; slot: string }>(
      `select current_setting('primary_conninfo') as info, current_setting('primary_slot_name') as slot`,
    )
    const before = rows[0]?.info ?? ''
    if (before === '') await writePassFile(server, primary)
    const wanted = { primary_conninfo: connInfo(before, primary), primary_slot_name: slotName(server.name) }
    if (before === wanted.primary_conninfo && rows[0]?.slot === wanted.primary_slot_name) return
    for (const [name, value] of Object.entries(wanted)) {
      await client.query(`alter system set ${name} = ${client.escapeLiteral(value)}`)
    }
    await client.query('select pg_reload_conf()')
  })
}

function connInfo(before: string, primary: PrimaryAddress): string {
  const isOurs = before === '' || before.includes(passFileName)
  return isOurs ? primaryConnInfo(primary) : movedConnInfo(before, primary)
}

async function writePassFile({ directory, account }: LocalServer, { user, password }: PrimaryAddress): Promise<void> {
  const path = join(directory.data, passFileName)
  if ((await readTextIfExists(path)) === null) await writePrivateFile(path, passFileText(user, password), account)
}

import type { Command } from './command.ts'
import { kill } from './commands/kill.ts'
import { killClient } from './commands/kill-client.ts'
import { pause } from './commands/pause.ts'
import { reconnect } from './commands/reconnect.ts'
import { reload } from './commands/reload.ts'
import { resume } from './commands/resume.ts'
import { showClients } from './commands/show-clients.ts'
import { showConfig } from './commands/show-config.ts'
import { showDatabases } from './commands/show-databases.ts'
import { createShowHelp } from './commands/show-help.ts'
import { showLists } from './commands/show-lists.ts'
import { showMem } from './commands/show-mem.ts'
import { showPlanes } from './commands/show-planes.ts'
import { showPools } from './commands/show-pools.ts'
import { showServers } from './commands/show-servers.ts'
import { showShards } from './commands/show-shards.ts'
import { showState } from './commands/show-state.ts'
import { showStats } from './commands/show-stats.ts'
import { showStatsAverages } from './commands/show-stats-averages.ts'
import { showStatsTotals } from './commands/show-stats-totals.ts'
import { showTotals } from './commands/show-totals.ts'
import { showUsers } from './commands/show-users.ts'
import { showVersion } from './commands/show-version.ts'
import { shutdown } from './commands/shutdown.ts'

/** Every console command, in the order of SHOW HELP. */
export const COMMANDS: readonly Command[] = [
  createShowHelp(() => COMMANDS),
  showVersion,
  showState,
  showClients,
  showServers,
  showPools,
  showShards,
  showDatabases,
  showUsers,
  showPlanes,
  showStats,
  showStatsTotals,
  showStatsAverages,
  showTotals,
  showLists,
  showMem,
  showConfig,
  pause,
  resume,
  reconnect,
  reload,
  kill,
  killClient,
  shutdown,
]

const BY_NAME: ReadonlyMap<string, Command> = new Map(COMMANDS.map((command) => [command.name, command]))

/** The command of this name (upper case, one space), if there is one. */
export function findCommand(name: string): Command | undefined {
  return BY_NAME.get(name)
}

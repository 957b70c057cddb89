import type { Command } from './command.ts'
import { explainRoute } from './command-set/explain-route.ts'
import { explainTier } from './command-set/explain-tier.ts'
import { kill } from './command-set/kill.ts'
import { killClient } from './command-set/kill-client.ts'
import { drain, patch, restart, scaleIn, scaleOut, switchover, undrain } from './command-set/operations.ts'
import { pause } from './command-set/pause.ts'
import { reconnect } from './command-set/reconnect.ts'
import { reload } from './command-set/reload.ts'
import { resume } from './command-set/resume.ts'
import { showClients } from './command-set/show-clients.ts'
import { showConfig } from './command-set/show-config.ts'
import { showDatabases } from './command-set/show-databases.ts'
import { showEvents } from './command-set/show-events.ts'
import { createShowHelp } from './command-set/show-help.ts'
import { showListeners } from './command-set/show-listeners.ts'
import { showLists } from './command-set/show-lists.ts'
import { showMem } from './command-set/show-mem.ts'
import { showOperations } from './command-set/show-operations.ts'
import { showPlanes } from './command-set/show-planes.ts'
import { showPolicy } from './command-set/show-policy.ts'
import { showPools } from './command-set/show-pools.ts'
import { showPreservation } from './command-set/show-preservation.ts'
import { showPreservedClients } from './command-set/show-preserved-clients.ts'
import { showProfiles } from './command-set/show-profiles.ts'
import { showScaling } from './command-set/show-scaling.ts'
import { showServers } from './command-set/show-servers.ts'
import { showShards } from './command-set/show-shards.ts'
import { showQueues, showSlots } from './command-set/show-slots.ts'
import { showState } from './command-set/show-state.ts'
import { showStats } from './command-set/show-stats.ts'
import { showStatsAverages } from './command-set/show-stats-averages.ts'
import { showStatsTotals } from './command-set/show-stats-totals.ts'
import { showTiers } from './command-set/show-tiers.ts'
import { showTotals } from './command-set/show-totals.ts'
import { showUsers } from './command-set/show-users.ts'
import { showVersion } from './command-set/show-version.ts'
import { shutdown } from './command-set/shutdown.ts'
import { upgrade } from './command-set/upgrade.ts'

/** Every console command, in the order of SHOW HELP. */
export const COMMANDS: readonly Command[] = [
  createShowHelp(() => COMMANDS),
  showVersion,
  showState,
  showClients,
  showServers,
  showPools,
  showListeners,
  showShards,
  showSlots,
  showQueues,
  showPolicy,
  explainRoute,
  showEvents,
  showOperations,
  showScaling,
  showDatabases,
  showUsers,
  showProfiles,
  showTiers,
  explainTier,
  showPlanes,
  showPreservation,
  showPreservedClients,
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
  upgrade,
  restart,
  drain,
  undrain,
  switchover,
  patch,
  scaleOut,
  scaleIn,
  shutdown,
]

const BY_NAME: ReadonlyMap<string, Command> = new Map(COMMANDS.map((command) => [command.name, command]))

/** The command of this name (upper case, one space), if there is one. */
export function findCommand(name: string): Command | undefined {
  return BY_NAME.get(name)
}

import type { ShutdownMode } from '../../router-control.ts'
import { badArgument } from '../arguments.ts'
import type { ActionCommand } from '../command.ts'

const MODES: ReadonlyMap<string, ShutdownMode> = new Map([
  ['immediate', 'immediate'],
  ['wait_for_clients', 'wait-for-clients'],
  ['wait_for_servers', 'wait-for-servers'],
])

export const shutdown: ActionCommand = {
  kind: 'action',
  name: 'SHUTDOWN',
  argument: '[WAIT_FOR_SERVERS | WAIT_FOR_CLIENTS | IMMEDIATE]',
  summary:
    'Stop. Alone: finish transactions, like SIGTERM. WAIT_FOR_SERVERS: however long they take. WAIT_FOR_CLIENTS: let clients leave by themselves.',
  prepare(argument) {
    const [word, ...rest] = argument
    const mode = word === undefined ? 'drain' : word.kind === 'word' ? MODES.get(word.value) : undefined
    if (mode === undefined || rest.length > 0) {
      throw badArgument('SHUTDOWN', 'SHUTDOWN takes WAIT_FOR_SERVERS, WAIT_FOR_CLIENTS, IMMEDIATE or nothing.')
    }
    return async ({ control }) => {
      control.shutdown(mode)
      return []
    }
  },
}

import { RouterError } from '../../../errors.ts'
import { readClient } from '../../../memory/client-slots.ts'
import { clientGeneration, clientId, parseSlotId } from '../../slot-id.ts'
import { badArgument } from '../arguments.ts'
import type { ActionCommand } from '../command.ts'

export const killClient: ActionCommand = {
  kind: 'action',
  name: 'KILL_CLIENT',
  argument: 'id',
  summary: 'Close one client at once. The id is that of SHOW CLIENTS.',
  prepare(argument) {
    const [number, ...rest] = argument
    if (number?.kind !== 'number' || rest.length > 0) {
      throw badArgument('KILL_CLIENT', 'KILL_CLIENT takes one number: the id that SHOW CLIENTS prints.')
    }
    const wanted = Number(number.value)
    return async ({ control }) => {
      const { clients } = control.memory
      const id = parseSlotId(wanted)
      if (id === null || id.slot >= clients.count || readClient(clients, id.slot) === null) throw noClient(number.value)
      if (clientId(clients, id.slot) !== wanted) throw noClient(number.value)
      await control.killClient(id.slot, clientGeneration(clients, id.slot))
      return []
    }
  },
}

function noClient(id: string): RouterError {
  return new RouterError('22023', `No client has the id ${id} (any more).`, {
    origin: 'client',
    hint: 'SHOW CLIENTS prints the id of each client in its column "id".',
  })
}

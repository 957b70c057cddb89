import { drain, undrain } from './drain.ts'
import { failover } from './failover.ts'
import type { OperationRequest, OperationScript, OperationWorld } from './operation.ts'
import { patch } from './patch.ts'
import { rejoin } from './rejoin.ts'
import { restart } from './restart.ts'
import { scaleIn, scaleOut } from './scale.ts'
import { resumeSwitchover, switchover } from './switchover.ts'

/** The steps that carry a request out. Rejects with RouterError when they are not possible now. */
export async function scriptOf(world: OperationWorld, request: OperationRequest): Promise<OperationScript> {
  switch (request.kind) {
    case 'restart':
      return restart(world, request.shard)
    case 'drain':
      return drain(world, request.shard)
    case 'undrain':
      return undrain(world, request.shard)
    case 'switchover':
      return request.from === null || request.to === null
        ? await switchover(world, request.group, request.to)
        : resumeSwitchover(world, { group: request.group, from: request.from, to: request.to })
    case 'patch':
      return patch(world, request.group, request.binDirectory)
    case 'failover':
      return failover(world, request.group, request.lost)
    case 'rejoin':
      return rejoin(world, request.shard)
    case 'scale-out':
      return scaleOut(world, request.target, request.choice)
    case 'scale-in':
      return scaleIn(world, request.shard)
  }
}

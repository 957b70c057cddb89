import type { EventKind } from '../events/event-log.ts'
import type { ReportedOperation } from './client-census.ts'
import type { OperationRequest } from './operation.ts'

/** What the report on clients calls it; null: no client can notice it. */
export function reportedAs({ kind }: OperationRequest): ReportedOperation | null {
  switch (kind) {
    case 'rejoin':
    case 'drain':
    case 'undrain':
    case 'scale-out':
    case 'scale-in':
      return null
    default:
      return kind
  }
}

/** A shard is being made, or taken away. */
export function isScaling(request: OperationRequest | undefined): boolean {
  return request?.kind === 'scale-out' || request?.kind === 'scale-in'
}

/** A failover does not wait for it: who is in use, is in use without it. */
export function makesWay(request: OperationRequest | undefined): boolean {
  return isScaling(request) || request?.kind === 'rejoin'
}

/** The kind of event that its steps are told as. */
export function eventKindOf(request: OperationRequest): EventKind {
  if (isScaling(request)) return 'scaling'
  return request.kind === 'failover' || request.kind === 'rejoin' ? 'failover' : 'operation'
}

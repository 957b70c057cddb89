import type { EventKind } from '../events/event-log.ts'
import type { ReportedOperation } from './client-census.ts'
import type { OperationRequest } from './operation.ts'

/** What the report on clients calls it; null: no client can notice it. */
export function reportedAs({ kind }: OperationRequest): ReportedOperation | null {
  switch (kind) {
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

/** The kind of event that its steps are told as. */
export function eventKindOf(request: OperationRequest): EventKind {
  if (isScaling(request)) return 'scaling'
  return request.kind === 'failover' ? 'failover' : 'operation'
}

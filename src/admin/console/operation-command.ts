import { type OperationRecord, type OperationRequest, requestText } from '../../control/operations/operation.ts'
import type { ActionCommand, Notices } from './command.ts'
import { type OperationArgument, operationArgument } from './operation-argument.ts'

/** A command that carries out an operation on shards, or says what that would do. */
export function operationCommand(about: {
  readonly name: string
  readonly argument: string
  readonly summary: string
  readonly takesTo: boolean
  readonly isOptional?: boolean
  request(argument: OperationArgument): OperationRequest
}): ActionCommand {
  const { name, argument, summary, takesTo, isOptional } = about
  return {
    kind: 'action',
    name,
    argument: `${argument} [DRY RUN]`,
    summary,
    prepare(tokens) {
      const found = operationArgument(name, tokens, takesTo, isOptional)
      const request = about.request(found)
      return async ({ control }): Promise<Notices> => {
        if (!found.isDryRun) return told(await control.operate(request))
        const steps = await control.planOperation(request)
        return [`${requestText(request)} would`, ...steps.map((step, index) => `${index + 1}. ${step}`)]
      }
    },
  }
}

function told(record: OperationRecord): Notices {
  const seconds = ((record.endedAt - record.startedAt) / 1000).toFixed(1)
  const held = record.heldMs === 0 ? '' : `; requests waited for ${Math.round(record.heldMs)} ms`
  return [`Done in ${seconds} s${held}.`, ...(record.detail === '' ? [] : [record.detail])]
}

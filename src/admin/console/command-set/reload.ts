import { ConfigError, RouterError } from '../../../errors.ts'
import type { ReloadReport, RouterControl } from '../../router-control.ts'
import { noArgument } from '../arguments.ts'
import type { ActionCommand, Notices } from '../command.ts'

export const reload: ActionCommand = {
  kind: 'action',
  name: 'RELOAD',
  argument: '',
  summary: 'Read the configuration and certificates again; a mistake in them changes nothing.',
  prepare(argument) {
    noArgument('RELOAD', argument)
    return async ({ control }) => describe(await reloadOf(control))
  },
}

async function reloadOf(control: RouterControl): Promise<ReloadReport> {
  try {
    return await control.reload()
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    // config_file_error
    throw new RouterError('F0000', error.message, {
      origin: 'client',
      hint: 'Nothing was changed. Correct the configuration and give RELOAD again.',
      cause: error,
    })
  }
}

function describe({ applied, needsRestart }: ReloadReport): Notices {
  const notices: string[] = []
  if (applied.length > 0) notices.push(`Applied: ${applied.join(', ')}.`)
  if (needsRestart.length > 0) notices.push(`Changed, but needs a restart: ${needsRestart.join(', ')}.`)
  return notices.length > 0 ? notices : ['The configuration is unchanged.']
}

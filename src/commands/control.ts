import type { Environment } from '../config/environment.ts'

/** Where the keeper puts a child's inheritance. */
const CHANNEL_FD = 3
const MEMORY_FD = 4

export interface ControlContext {
  readonly environment: Environment
  readonly setTitle: (title: string) => void
  readonly logDestination: number
  readonly write: (text: string) => void
  readonly exit: (code: number) => never
}

/** `switchyard control`, started by the keeper only. */
export async function control(context: ControlContext): Promise<number> {
  context.setTitle('switchyard: control')
  const { runControl } = await import('../compose-control.ts')
  return runControl({ ...context, channelFd: CHANNEL_FD, memoryFd: MEMORY_FD })
}

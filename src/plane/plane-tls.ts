import { TlsContext } from '../io/tls-context.ts'
import type { ClientTlsMode, PlaneValues, ServerTlsMode } from '../shard/plane-values.ts'

/** The TLS of one configuration; whoever replaces it frees it. */
export interface PlaneTls {
  readonly client: { readonly mode: ClientTlsMode; readonly context: TlsContext | null }
  readonly server: { readonly mode: ServerTlsMode; readonly context: TlsContext | null }
}

export const NO_TLS: PlaneTls = {
  client: { mode: 'disable', context: null },
  server: { mode: 'disable', context: null },
}

/** @throws ConfigError when certificates and keys are of no use; then nothing is left behind. */
export function openTls({ clientTls, serverTls }: PlaneValues): PlaneTls {
  const client = { mode: clientTls.mode, context: clientContext(clientTls) }
  try {
    return { client, server: { mode: serverTls.mode, context: serverContext(serverTls) } }
  } catch (error) {
    client.context?.free()
    throw error
  }
}

/** Connections that use it go on: they hold it themselves. */
export function freeTls({ client, server }: PlaneTls): void {
  client.context?.free()
  server.context?.free()
}

function clientContext({
  mode,
  certificate,
  key,
  ca,
  minVersion,
  onUpgrade,
}: PlaneValues['clientTls']): TlsContext | null {
  if (mode === 'disable' || certificate === null || key === null) return null
  const isRequired = mode === 'verify-ca' || mode === 'verify-full'
  const verify = isRequired ? 'require' : ca === null ? 'none' : 'request'
  return TlsContext.forServer({
    certificatePem: certificate,
    keyPem: key,
    caPem: ca,
    verify,
    minVersion,
    alpn: ['postgresql'],
    logsKeys: onUpgrade === 'keep',
  })
}

function serverContext({ mode, certificate, key, ca, onUpgrade }: PlaneValues['serverTls']): TlsContext | null {
  if (mode === 'disable') return null
  const verify = mode === 'verify-full' ? 'full' : mode === 'verify-ca' ? 'ca' : 'none'
  return TlsContext.forClient({
    caPem: ca,
    certificatePem: certificate,
    keyPem: key,
    verify,
    logsKeys: onUpgrade === 'keep',
  })
}

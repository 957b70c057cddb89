/** Alerts that we send or look at: https://www.rfc-editor.org/rfc/rfc8446#section-6 */
export const ALERT = {
  closeNotify: 0,
  unexpectedMessage: 10,
  badRecordMac: 20,
  recordOverflow: 22,
  internalError: 80,
  userCanceled: 90,
  noRenegotiation: 100,
} as const

export const ALERT_LEVEL = { warning: 1, fatal: 2 } as const

/** What peers end connections with after the handshake, in OpenSSL's words. */
const NAMES: Readonly<Record<number, string>> = {
  [ALERT.unexpectedMessage]: 'unexpected message',
  [ALERT.badRecordMac]: 'bad record mac',
  [ALERT.recordOverflow]: 'record overflow',
  42: 'bad certificate',
  43: 'unsupported certificate',
  44: 'certificate revoked',
  45: 'certificate expired',
  46: 'certificate unknown',
  47: 'illegal parameter',
  48: 'unknown ca',
  49: 'access denied',
  50: 'decode error',
  51: 'decrypt error',
  71: 'insufficient security',
  [ALERT.internalError]: 'internal error',
  116: 'certificate required',
}

/** The name of an alert, or its number. */
export function describeAlert(code: number): string {
  return NAMES[code] ?? `number ${code}`
}

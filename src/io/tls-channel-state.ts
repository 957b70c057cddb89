/**
 * - handshaking: `feed`, `handshake`, `drain`. Ends with `established` or `failed`.
 * - open: `feed`, `read`, `write`, `drain`. Ends with `peerClosed` (its close_notify) or `failed`.
 * - peer-closed: nothing more to read; `write` and `drain` still work, TLS closes each direction by itself.
 * - failed: fatal, with the reason in `failure`; `drain` gives the alert that tells the peer.
 * - freed: every call throws.
 */
export type TlsChannelState = 'handshaking' | 'open' | 'peer-closed' | 'failed' | 'freed'
/** What a channel goes through. */
export type TlsChannelEvent = 'established' | 'peerClosed' | 'failed' | 'freed'

/** What an event leads to; undefined: it cannot happen in that state. */
export const nextTlsChannelState: Record<TlsChannelState, Partial<Record<TlsChannelEvent, TlsChannelState>>> = {
  handshaking: { established: 'open', failed: 'failed', freed: 'freed' },
  open: { peerClosed: 'peer-closed', failed: 'failed', freed: 'freed' },
  'peer-closed': { failed: 'failed', freed: 'freed' },
  failed: { freed: 'freed' },
  freed: {},
}

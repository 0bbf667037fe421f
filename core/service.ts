/** A part with a lifetime. Starting twice is a mistake; disposing waits until what is in flight is done or cancelled. */
export interface Service extends AsyncDisposable {
  start(): Promise<void>
}

/** What each of these examples does: calls `onRecord` with every record of a ledger behind `after`, in order and once. */
export interface Follow {
  readonly url: string
  readonly key: string
  readonly companyId: string
  /** The cursor that was kept with the last record worked through; any cursor of the same ledger will do. */
  readonly after: string
  /** Keep the cursor together with what the record caused. */
  readonly onRecord: (position: number, cursor: string) => void
  /** Called once when there is no use in trying again: the key is not valid, or the cursor is not. */
  readonly onEnd: (reason: unknown) => void
}

/** Select `cursor`, and let `after` be a variable: that is all a subscription needs to be resumed. */
export const query = `
  subscription ($companyId: ID!, $after: String) {
    recordAppended(companyId: $companyId, after: $after) {
      cursor
      record { position kind data }
    }
  }`

export interface Data {
  readonly recordAppended: { readonly cursor: string; readonly record: { readonly position: number } }
}

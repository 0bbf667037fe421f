import { Bitmap } from './bitmap.ts'
import { FormatError, type BundleRecord } from './format.ts'

const erasedKind = 'ledger.erased'

/** Which parts are missing, and which `ledger.erased` records say why. Fed with the records in order. */
export class Erasures {
  readonly #withPrivate: boolean
  readonly #missingData = new Bitmap()
  readonly #missingPrivate = new Bitmap()
  readonly #presentPrivate = new Bitmap()
  readonly #erased = new Bitmap()
  readonly #erasedPrivate = new Bitmap()
  readonly #erasures = new Bitmap()
  /** Parts that are named as erased, for the report. */
  count = 0

  /** @param withPrivate Whether the bundle's exporter may read private parts, so that a missing one needs a reason. */
  constructor(withPrivate: boolean) {
    this.#withPrivate = withPrivate
  }

  /** @throws FormatError where a record contradicts the rules of erasure */
  add(record: BundleRecord, kind: string): void {
    const { position } = record
    if (record.data === null) this.#missingData.add(position)
    if (record.private !== null) this.#presentPrivate.add(position)
    else if (record.privateCommitment !== null) this.#missingPrivate.add(position)
    if (kind !== erasedKind) return
    this.#erasures.add(position)
    if (record.data !== null) this.#erase(position, JSON.parse(record.data) as Record<string, unknown>)
  }

  /** The first part that is missing without a record that says why. */
  firstGap(): { position: number; part: 'data' | 'private' } | undefined {
    const data = this.#missingData.firstWithout((position) => this.#erased.has(position))
    const explained = (position: number): boolean => this.#erased.has(position) || this.#erasedPrivate.has(position)
    const hidden = this.#withPrivate ? this.#missingPrivate.firstWithout(explained) : undefined
    if (data !== undefined && (hidden === undefined || data <= hidden)) return { position: data, part: 'data' }
    return hidden === undefined ? undefined : { position: hidden, part: 'private' }
  }

  #erase(position: number, data: Record<string, unknown>): void {
    const { position: target, part } = data
    const fields = Object.keys(data).length
    const whole = fields === 1 && part === undefined
    if (!Number.isSafeInteger(target) || !(whole || (fields === 2 && part === 'private'))) {
      throw new FormatError('its data is not that of a ledger.erased record')
    }
    const erased = target as number
    if (erased < 0 || erased >= position) throw new FormatError('it erases a position that is not below its own')
    if (this.#erasures.has(erased)) throw new FormatError(`it erases record ${erased}, itself a ledger.erased record`)
    if (whole && !this.#missingData.has(erased)) {
      throw new FormatError(`it erases the data of record ${erased}, which is there`)
    }
    if (this.#presentPrivate.has(erased)) {
      throw new FormatError(`it erases the private part of record ${erased}, which is there`)
    }
    ;(whole ? this.#erased : this.#erasedPrivate).add(erased)
    this.count++
  }
}

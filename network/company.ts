import { z } from 'zod'
import { AppError, listTooLong } from '../core/errors.ts'
import type { CompanyId } from '../core/ids.ts'

export interface Identifier {
  readonly scheme: string
  readonly value: string
}

/** A company as readers get it: one row of its shard, with its sector's name from the shard's copy. */
export interface Company {
  readonly id: CompanyId
  readonly name: string
  /** In order of scheme, then value. */
  readonly identifiers: readonly Identifier[]
  readonly sector: { readonly code: string; readonly name: string } | null
  readonly subIndustry: string | null
  readonly seat: string | null
  readonly founded: string | null
  readonly createdAt: string
  readonly updatedAt: string
}

/** What a caller may say about a company. */
export interface CompanyProfile {
  readonly name: string
  readonly identifiers: readonly Identifier[]
  readonly sector: string | null
  readonly subIndustry: string | null
  readonly seat: string | null
  readonly founded: string | null
}

const maxIdentifiers = 20

/** Text of a profile: no control characters, no lone surrogates (which no UTF-8 and so no ledger could hold). */
const line = (maxLength: number) =>
  z
    .string()
    .max(maxLength)
    .refine((text) => text.trim().length > 0, 'must not be empty')
    .refine((text) => text.isWellFormed() && !/\p{Cc}/u.test(text), 'must hold no control characters')

const sectorCode = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/, 'is 1 to 64 characters of a-z, 0-9 and "-"')

const fields = {
  name: line(200),
  identifiers: z
    .array(
      z.object({
        scheme: z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, 'is 1 to 32 characters of a-z, 0-9 and "-"'),
        value: line(128),
      }),
    )
    .transform(sortedIdentifiers),
  sector: sectorCode.nullable(),
  subIndustry: line(200).nullable(),
  seat: line(200).nullable(),
  founded: line(64).nullable(),
}

const newProfile = z.object({
  name: fields.name,
  identifiers: fields.identifiers.nullish().transform((identifiers) => identifiers ?? []),
  sector: fields.sector.nullish().transform(orNull),
  subIndustry: fields.subIndustry.nullish().transform(orNull),
  seat: fields.seat.nullish().transform(orNull),
  founded: fields.founded.nullish().transform(orNull),
})
const profileChange = z.object({ ...fields, identifiers: fields.identifiers.nullable() }).partial()
const sector = z.object({ code: sectorCode, name: line(100) })

interface Optional {
  readonly identifiers?: readonly Identifier[] | null | undefined
  /** A sector's code. */
  readonly sector?: string | null | undefined
  readonly subIndustry?: string | null | undefined
  readonly seat?: string | null | undefined
  readonly founded?: string | null | undefined
}
export interface NewCompanyInput extends Optional {
  readonly name: string
}
/** Fields left out stay; null clears. */
export interface CompanyChange extends Optional {
  readonly name?: string | undefined
}

/** @throws AppError BAD_USER_INPUT | LIST_TOO_LONG */
export function parseNewProfile(input: NewCompanyInput): CompanyProfile {
  refuseLongList(input.identifiers)
  return parsed(newProfile, input)
}

/** Only the fields that were given. @throws AppError BAD_USER_INPUT | LIST_TOO_LONG */
export function parseProfileChange(input: CompanyChange): Partial<CompanyProfile> {
  refuseLongList(input.identifiers)
  const { identifiers, ...change } = parsed(profileChange, input)
  const given = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined))
  return identifiers === undefined ? given : { ...given, identifiers: identifiers ?? [] }
}

/** @throws AppError BAD_USER_INPUT */
export function parseSector(input: { code: string; name: string }): { code: string; name: string } {
  return parsed(sector, input)
}

function refuseLongList(identifiers: unknown): void {
  if (Array.isArray(identifiers) && identifiers.length > maxIdentifiers) {
    throw listTooLong(`A company has at most ${maxIdentifiers} identifiers.`, maxIdentifiers)
  }
}

function parsed<S extends z.ZodType>(schema: S, input: unknown): z.output<S> {
  const result = schema.safeParse(input)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  const field = issue?.path.join('.') ?? ''
  throw new AppError('BAD_USER_INPUT', `${field}: ${issue?.message ?? 'invalid'}`, { details: { field } })
}

function sortedIdentifiers(identifiers: Identifier[]): Identifier[] {
  const byKey = new Map(identifiers.map((identifier) => [`${identifier.scheme} ${identifier.value}`, identifier]))
  return [...byKey.keys()].sort().flatMap((key) => byKey.get(key) ?? [])
}

function orNull(text: string | null | undefined): string | null {
  return text ?? null
}

import { randomBytes, randomUUID } from 'node:crypto'
import { AppError } from '../../core/errors.ts'
import type { CompanyId } from '../../core/ids.ts'
import type { ShardSql } from '../../store/store.ts'
import { decrypt, encrypt } from './seal.ts'

export interface SubjectKey {
  readonly keyId: string
  /** AES-256 key of the subject's private parts. */
  readonly key: Buffer
}

const keyBytes = 32

/** Never cached: a destroyed key must be gone from every process at once. */
export interface SubjectKeys {
  /** Keys that exist. */
  find(
    sql: ShardSql,
    subjects: readonly { companyId: CompanyId; subject: string }[],
  ): Promise<(SubjectKey & { companyId: CompanyId; subject: string })[]>
  /** Keys of all of them; missing ones are made. */
  obtain(sql: ShardSql, companyId: CompanyId, subjects: readonly string[]): Promise<Map<string, SubjectKey>>
}

/** `wrappingKey`: 32 bytes from the configuration, or null where private parts are not used. */
export function createSubjectKeys(wrappingKey: Buffer | null): SubjectKeys {
  const required = (): Buffer => {
    if (wrappingKey === null) {
      throw new AppError('BAD_USER_INPUT', 'This deployment has no key for private parts.')
    }
    return wrappingKey
  }
  const read = (row: KeyRow): SubjectKey => ({ keyId: row.key_id, key: decrypt(required(), row.wrapped_key) })
  return {
    async find(sql, subjects) {
      if (subjects.length === 0) return []
      const rows = await sql<KeyRow[]>`
        select k.company_id, k.subject, k.key_id::text, k.wrapped_key
        from unnest(${subjects.map(({ companyId }) => companyId)}::text[], ${subjects.map(({ subject }) => subject)}::text[])
          as wanted (company_id, subject)
        join ledger_subjects k on k.company_id = wanted.company_id and k.subject = wanted.subject`
      return rows.map((row) => ({ companyId: row.company_id, subject: row.subject, ...read(row) }))
    },
    async obtain(sql, companyId, subjects) {
      const wanted = [...new Set(subjects)].sort()
      const made = wanted.map(() => encrypt(required(), randomBytes(keyBytes)).toString('hex'))
      // One statement; the union shows what was there before, which "do nothing" does not return.
      const rows = await sql<KeyRow[]>`
        with made as (
          insert into ledger_subjects (company_id, subject, key_id, wrapped_key)
          select ${companyId}, subject, key_id::uuid, decode(wrapped, 'hex')
          from unnest(${wanted}::text[], ${wanted.map(() => randomUUID())}::text[], ${made}::text[])
            as m (subject, key_id, wrapped)
          where not exists (
            select from ledger_subjects k where k.company_id = ${companyId} and k.subject = m.subject
          )
          on conflict do nothing
          returning company_id, subject, key_id::text, wrapped_key
        )
        select * from made
        union all
        select company_id, subject, key_id::text, wrapped_key from ledger_subjects
        where company_id = ${companyId} and subject = any(${wanted}::text[])`
      // Made by another process while the statement ran: visible to the next one.
      if (rows.length < wanted.length) return this.obtain(sql, companyId, subjects)
      return new Map(rows.map((row) => [row.subject, read(row)]))
    },
  }
}

interface KeyRow {
  company_id: CompanyId
  subject: string
  key_id: string
  wrapped_key: Buffer
}

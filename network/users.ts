import { z } from 'zod'
import { type Clock, systemClock } from '../core/clock.ts'
import { AppError, listTooLong } from '../core/errors.ts'
import { type CompanyId, parseCompanyId } from '../core/ids.ts'
import type { PositionToken } from '../core/position.ts'
import { uuidv7 } from '../core/uuid.ts'
import type { Ledger } from '../ledger/ledger.ts'
import type { ShardSql, ShardTx } from '../store/store.ts'
import type { ChangedBy } from './companies.ts'
import { lockCompany } from './lock-company.ts'
import { ownSource } from '../ledger/own-records.ts'

const userRoles = ['OWNER', 'MANAGER', 'ACCOUNTANT', 'AUDITOR', 'MEMBER'] as const
export type UserRole = (typeof userRoles)[number]

/** A person who acts for a company. */
export interface User {
  readonly companyId: CompanyId
  readonly id: string
  readonly name: string
  readonly email: string | null
  readonly roles: readonly UserRole[]
  readonly createdAt: string
  readonly updatedAt: string
}

/** Bounds what one company's page shows. */
const maxUsers = 200
const idPattern = /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/

const profile = z.object({
  name: z
    .string()
    .max(200)
    .refine((text) => text.trim() !== '' && text.isWellFormed() && !/\p{Cc}/u.test(text), 'must be a name'),
  email: z.email().max(254).nullable(),
  roles: z.array(z.enum(userRoles)).transform((roles) => userRoles.filter((role) => roles.includes(role))),
})

export interface UserCommands {
  /** @throws AppError NOT_FOUND (the company) | BAD_USER_INPUT | INVALID_ID | LIST_TOO_LONG */
  put(
    companyId: CompanyId,
    input: { id?: string | null | undefined; name: string; email: string | null; roles: readonly string[] },
    by: ChangedBy,
  ): Promise<{ user: User; position: PositionToken }>
  /** Deletes the row; what the ledger's private parts hold goes with an erasure. @throws AppError NOT_FOUND */
  remove(companyId: CompanyId, userId: string, by: ChangedBy): Promise<PositionToken>
}

/** The ledger's data say who by id and with which roles; name and address are in the private part, which can be erased. */
export function createUserCommands(deps: { ledger: Ledger; clock?: Clock }): UserCommands {
  const { ledger, clock = systemClock } = deps
  return {
    async put(companyId, { id, ...given }, { actor, scope }) {
      const parsed = profile.safeParse(given)
      if (!parsed.success) {
        const field = parsed.error.issues[0]?.path.join('.') ?? ''
        throw new AppError('BAD_USER_INPUT', `${field}: ${parsed.error.issues[0]?.message ?? 'invalid'}`, {
          details: { field },
        })
      }
      const userId = id == null ? uuidv7(clock.now()) : parseUserId(id)
      const { name, email, roles } = parsed.data
      const { value, position } = await ledger.change(
        companyId,
        async (tx) => {
          await lockCompany(tx, companyId)
          const known = (await readUsers(tx, [companyId])).get(companyId) ?? []
          const before = known.find((user) => user.id === userId)
          if (before === undefined && known.length >= maxUsers) {
            throw listTooLong(`A company has at most ${maxUsers} users.`, maxUsers)
          }
          const now = new Date(clock.now()).toISOString()
          await tx`
            insert into company_users (company_id, user_id, name, email, roles, created_at, updated_at)
            values (${companyId}, ${userId}, ${name}, ${email}, ${roles}, ${now}, ${now})
            on conflict (company_id, user_id) do update set
              name = excluded.name, email = excluded.email, roles = excluded.roles, updated_at = excluded.updated_at`
          const user: User = {
            companyId,
            id: userId,
            name,
            email,
            roles,
            createdAt: before?.createdAt ?? now,
            updatedAt: now,
          }
          const record = {
            kind: before === undefined ? 'user.added' : 'user.updated',
            source: ownSource,
            stream: `user/${userId}`,
            data: { user: userId, roles },
            private: { subject: userId, data: { name, email } },
          }
          return { value: user, records: [actor === undefined ? record : { ...record, actor }] }
        },
        scope,
      )
      return { user: value, position }
    },

    async remove(companyId, userId, { actor, scope }) {
      const { position } = await ledger.change(
        companyId,
        async (tx) => {
          const removed = await tx`
            delete from company_users where company_id = ${companyId} and user_id = ${parseUserId(userId)} returning 1`
          if (removed.length === 0) throw new AppError('NOT_FOUND', 'There is no such user.')
          const record = { kind: 'user.removed', source: ownSource, stream: `user/${userId}`, data: { user: userId } }
          return { value: undefined, records: [actor === undefined ? record : { ...record, actor }] }
        },
        scope,
      )
      return position
    },
  }
}

/** One statement for any number of companies of a shard; index: the primary key. */
export async function readUsers(
  sql: ShardSql | ShardTx,
  companyIds: readonly CompanyId[],
): Promise<Map<CompanyId, User[]>> {
  const rows = await sql<User[]>`
    select company_id as "companyId", user_id as id, name, email, roles, created_at as "createdAt",
      updated_at as "updatedAt"
    from company_users where company_id = any(${[...companyIds]})
    order by company_id, user_id`
  return Map.groupBy(rows, (user) => user.companyId)
}

export const publicUserId = ({ companyId, id }: User): string => `${companyId}:${id}`

/** @throws AppError INVALID_ID */
export function parsePublicUserId(value: string): { companyId: CompanyId; id: string } {
  const [company = '', id = '', ...rest] = value.split(':')
  if (rest.length > 0) throw invalidUserId()
  return { companyId: parseCompanyId(company), id: parseUserId(id) }
}

function parseUserId(value: string): string {
  if (!idPattern.test(value)) throw invalidUserId()
  return value
}

const invalidUserId = () =>
  new AppError('INVALID_ID', 'A user id is 1 to 64 characters of a-z, 0-9 and "-", after the company’s and a colon.')

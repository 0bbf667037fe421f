// The console's page: one operation at a time, over HTTP or as an event stream. No library, and nothing from elsewhere.

const element = (id) => document.getElementById(id)
const [key, query, variables, answer, status, run, stop] = [
  'key',
  'query',
  'variables',
  'answer',
  'status',
  'run',
  'stop',
].map(element)

const examples = {
  'Companies of all shards': `query Companies {
  companies(first: 5) {
    nodes {
      id
      name
      sector { name }
      ledger { size head records(last: 3) { nodes { position kind recordedAt } } }
    }
  }
}`,
  'One company by its symbol': `query BySymbol {
  companyByIdentifier(scheme: "symbol", value: "MMM") {
    id
    name
    identifiers { scheme value }
  }
}`,
  'Every new record of a company (subscription)': `subscription Records {
  recordAppended(companyId: "COMPANY ID") {
    cursor
    record { position kind stream data company { name } }
  }
}`,
}

const maxEvents = 500
let running

// The key stays in this tab and goes when it closes.
key.value = sessionStorage.getItem('key') ?? ''
query.value = sessionStorage.getItem('query') ?? Object.values(examples)[0]
element('sandbox').href =
  `https://studio.apollographql.com/sandbox/explorer?endpoint=${encodeURIComponent(`${location.origin}/graphql`)}`
for (const name of Object.keys(examples)) element('examples').append(new Option(name, name))
element('examples').addEventListener('change', (event) => {
  query.value = examples[event.target.value]
})
run.addEventListener('click', () => void start())
stop.addEventListener('click', () => running?.abort())
document.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) void start()
})
element('search').addEventListener('input', () => showTypes())

function headers() {
  const sent = { 'content-type': 'application/json' }
  if (key.value !== '') sent.authorization = `Bearer ${key.value}`
  return sent
}

async function start() {
  running?.abort()
  running = new AbortController()
  const { signal } = running
  sessionStorage.setItem('key', key.value)
  sessionStorage.setItem('query', query.value)
  stop.disabled = false
  answer.textContent = ''
  const startedMs = performance.now()
  try {
    const body = JSON.stringify({ query: query.value, variables: JSON.parse(variables.value || '{}') })
    const stream = /^\s*subscription\b/m.test(query.value)
    const response = await fetch(stream ? '/graphql/stream' : '/graphql', {
      method: 'POST',
      headers: stream ? { ...headers(), accept: 'text/event-stream' } : headers(),
      body,
      signal,
    })
    if (stream && response.ok) {
      status.textContent = 'Subscribed.'
      await showEvents(response.body)
      status.textContent = 'The stream has ended.'
    } else {
      answer.textContent = JSON.stringify(await response.json(), null, 2)
      const cache = response.headers.get('ledgerway-cache')
      const ms = Math.round(performance.now() - startedMs)
      status.textContent = `${response.status} in ${ms} ms${cache === null ? '' : `, cache: ${cache}`}`
    }
  } catch (error) {
    status.textContent = signal.aborted ? 'Stopped.' : String(error)
  }
  if (!signal.aborted) stop.disabled = true
}

async function showEvents(body) {
  let rest = ''
  for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
    const blocks = (rest + chunk).split('\n\n')
    rest = blocks.pop() ?? ''
    for (const block of blocks) {
      const data = block.split('\n').find((line) => line.startsWith('data: {'))
      if (data === undefined) continue
      answer.prepend(`${JSON.stringify(JSON.parse(data.slice(6)), null, 2)}\n\n`)
      while (answer.childNodes.length > maxEvents) answer.lastChild.remove()
    }
  }
}

const introspection = `{ __schema { types { name kind description
  fields { name description type { ...T } args { name type { ...T } } }
  inputFields { name type { ...T } } enumValues { name } } } }
fragment T on __Type { name kind ofType { name kind ofType { name kind ofType { name kind } } } }`
let types = []

function typeText(type) {
  if (type === null || type === undefined) return ''
  if (type.kind === 'NON_NULL') return `${typeText(type.ofType)}!`
  return type.kind === 'LIST' ? `[${typeText(type.ofType)}]` : type.name
}

function showTypes() {
  const wanted = element('search').value.toLowerCase()
  element('types').replaceChildren(
    ...types.flatMap((type) => {
      const lines = [...(type.fields ?? []), ...(type.inputFields ?? []), ...(type.enumValues ?? [])].map((field) => {
        const given = field.args?.length
          ? `(${field.args.map((a) => `${a.name}: ${typeText(a.type)}`).join(', ')})`
          : ''
        return `${field.name}${given}${field.type === undefined ? '' : `: ${typeText(field.type)}`}`
      })
      const text = [type.name, ...lines].join('\n').toLowerCase()
      if (!text.includes(wanted)) return []
      const details = document.createElement('details')
      details.open = wanted !== '' && lines.length < 40
      const summary = document.createElement('summary')
      summary.textContent = type.name
      details.append(summary)
      for (const line of lines) {
        const paragraph = document.createElement('p')
        paragraph.textContent = line
        details.append(paragraph)
      }
      return [details]
    }),
  )
}

async function loadTypes() {
  const response = await fetch('/graphql', {
    method: 'POST',
    headers: headers(),
    body: JSON.stringify({ query: introspection }),
  })
  const { data } = await response.json()
  types = (data?.__schema.types ?? []).filter(({ name }) => !name.startsWith('__'))
  showTypes()
}

void loadTypes()

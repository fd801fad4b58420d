// Requests to the program. All addresses are relative, so that the page works under any path.

export class RefusedError extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

async function answered(response) {
  const content = await response.json().catch(() => ({}));
  if (!response.ok) throw new RefusedError(response.status, content.error ?? String(response.status));
  return content;
}

export async function get(name, query = {}) {
  const given = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== "" && value !== null));
  return answered(await fetch(`api/v1/${name}?${given}`, { credentials: "same-origin" }));
}

export async function getBytes(name) {
  const response = await fetch(`api/v1/${name}`, { credentials: "same-origin" });
  if (!response.ok) await answered(response);
  return new Uint8Array(await response.arrayBuffer());
}

// The sentence with which a part of the interface refuses to answer; null if it answers, or nobody does.
export async function refusal(name) {
  const stop = new AbortController();
  try {
    const response = await fetch(`api/v1/${name}`, { credentials: "same-origin", signal: stop.signal });
    if (response.ok) return null;
    return await answered(response);
  } catch (error) {
    return error instanceof RefusedError ? error.message : null;
  } finally {
    stop.abort(); // the rest is not wanted
  }
}

export async function post(name, body = {}) {
  const headers = { "Content-Type": "application/json" };
  return answered(await fetch(`api/v1/${name}`, { method: "POST", headers, body: JSON.stringify(body), credentials: "same-origin" }));
}

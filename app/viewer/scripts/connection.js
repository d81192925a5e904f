// The connection to the server, which breaks when that is restarted or the network goes away.
//
// Gradio's client gives up every event then, and reloads the page as soon as the server answers
// again: the scan would have to be opened once more. So this stands between the two. A request
// that asks for work waits until the server answers. When the stream of answers breaks, the events
// that it leaves open end like those of a handler with nothing to say, and the viewer asks again;
// see recovery.js.
//
// Of Gradio's protocol it knows the addresses and messages named here. What it does not know it
// passes on as it is, and Gradio does what it would do by itself.

const GRADIO_ROUTE = /^(?<root>.*)\/gradio_api\/(?<name>queue\/(?:join|data)|run\/[^/]+|upload)$/;
// From a proxy whose server is gone, and from a server that is about to go.
const GONE = new Set([502, 503, 504]);
const LOGIN_WANTED = 401;
// See app/request_limits.py.
const TOO_LARGE = 413;
// See app/upload_room.py.
const NO_ROOM = 507;
const TOO_MANY_STEPS =
  "The steps are more than the server takes in one request; save the masks, and go on from them in " +
  "a new session.";
const EVENT_STREAM = "text/event-stream";
const POLL_MS = 1000;
// A request that fails so often while the server answers others fails for another reason.
const ATTEMPTS = 5;

class Connection {
  // changed(state): told whether the server is "there", "gone", or wants a "login". interrupted():
  // told that events have ended without an answer. refuse(sentence): told why a request will never
  // be answered.
  constructor({ changed, interrupted, refuse }) {
    Object.assign(this, { changed, interrupted, refuse });
    this.fetch = window.fetch.bind(window);
    this.state = "there";
    // Ids of the events that the server has not completed, and of those that it completed before
    // it said their ids.
    this.events = new Set();
    this.early = new Set();
    // Called when there is an event to listen to.
    this.wanted = null;
    // Whether the upload before failed, and why the server says that it did; "" for no reason.
    this.uploadFailed = false;
    this.uploadRefusal = "";
    // Whether the stream before this one broke without a word.
    this.wasSilent = false;
    this.return = null;
    window.fetch = async (resource, options) => this.route(resource, options);
  }

  route(resource, options) {
    const url = new URL(resource instanceof Request ? resource.url : resource, document.baseURI);
    const route = GRADIO_ROUTE.exec(url.pathname)?.groups;
    if (!route) return this.fetch(resource, options);
    this.root = url.origin + route.root;
    if (route.name === "upload") return this.askForUpload(resource, options);
    if (route.name !== "queue/data") return this.askForWork(resource, options);
    this.page = url.searchParams.get("session_hash");
    return this.listen(resource, options);
  }

  // Of a failure Gradio would tell the person in words of its own; so it is told of a file of no name,
  // and the viewer asks here.
  async askForUpload(resource, options) {
    const answer = await this.ask(resource, options).catch(() => null);
    this.uploadFailed = !answer?.ok;
    this.uploadRefusal = answer?.status === NO_ROOM ? (await answer.json()).detail : "";
    return this.uploadFailed ? new Response('[""]') : answer;
  }

  async askForWork(resource, options) {
    const answer = await this.ask(resource, options);
    if (answer.status === TOO_LARGE) this.refuse(TOO_MANY_STEPS);
    return answer;
  }

  // Asks until the server answers.
  async ask(resource, options) {
    for (let refused = 0; ; ) {
      const { answer, error } = await this.attempt(resource, options);
      if (answer?.status === LOGIN_WANTED) {
        this.say("login");
        await pause(POLL_MS);
      } else if (answer && !GONE.has(answer.status)) {
        this.say("there");
        await this.remember(answer.clone());
        return answer;
      } else {
        refused = (await this.isThere()) ? refused + 1 : 0;
        if (refused === ATTEMPTS && error) throw error;
        if (refused === ATTEMPTS) return answer;
        await (refused > 0 ? pause(POLL_MS) : this.untilThere());
      }
    }
  }

  async attempt(resource, options) {
    try {
      // A request can be read once only.
      const request = resource instanceof Request ? resource.clone() : resource;
      return { answer: await this.fetch(request, options) };
    } catch (error) {
      return { error };
    }
  }

  async remember(answer) {
    const said = await answer.json().catch(() => null);
    if (!said?.event_id || this.early.delete(said.event_id)) return;
    this.events.add(said.event_id);
    this.wanted?.();
  }

  // The stream of answers, which ends well even if the server does not end it.
  //
  // The server ends it whenever it has answered everything. An event that is asked for in that
  // moment is answered in another stream, which Gradio's client does not open if it hears of the
  // end after the event's id. So it is never told of the end; the next stream is opened here.
  async listen(resource, options) {
    const { answer, error } = await this.attempt(resource, options);
    const signal = options?.signal ?? resource.signal;
    if (signal?.aborted) throw error ?? signal.reason;
    if (answer?.ok && !isStream(answer)) return answer;
    let reader = readerOf(answer);
    let isWanted = true;
    const body = new ReadableStream({
      start: async (controller) => {
        const say = (text) => isWanted && controller.enqueue(new TextEncoder().encode(text));
        while (reader && (await this.relay(reader, say))) {
          await this.untilWanted();
          reader = readerOf((await this.attempt(resource, options)).answer);
        }
        if (!signal?.aborted) await this.endEvents(say);
        if (isWanted) controller.close();
      },
      cancel: (reason) => {
        isWanted = false;
        return reader?.cancel(reason);
      },
    });
    return new Response(body, { headers: { "Content-Type": EVENT_STREAM } });
  }

  // Resolves when an event has no answer.
  async untilWanted() {
    if (this.events.size > 0) return;
    await new Promise((resolve) => {
      this.wanted = resolve;
    });
    this.wanted = null;
  }

  // Passes messages on. Resolves to whether the server has said that there are no more.
  async relay(reader, say) {
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read().catch(() => ({ done: true }));
      if (done) return false;
      const texts = (rest + value).split("\n\n");
      rest = texts.pop();
      for (const text of texts) {
        const { msg, event_id: id } = messageIn(text);
        // The server stops, or is another one than before.
        if (msg === "unexpected_error" && !id) return false;
        this.wasSilent = false;
        if (msg === "close_stream") return true;
        if (msg === "process_completed" && !this.events.delete(id)) this.early.add(id);
        say(text + "\n\n");
      }
    }
  }

  async endEvents(say) {
    if (!(await this.isThere())) this.untilThere();
    // Or a server that breaks them all would be asked without a pause.
    else if (this.wasSilent) await pause(POLL_MS);
    this.wasSilent = true;
    const ended = [...this.events];
    const nothing = { msg: "process_completed", success: true, output: { data: [] } };
    for (const id of ended) {
      this.events.delete(id);
      say(messageOf({ ...nothing, event_id: id }));
    }
    say(messageOf({ msg: "close_stream" }));
    if (ended.length > 0) this.interrupted();
  }

  // Resolves when the server answers again.
  untilThere() {
    this.return ??= this.poll().finally(() => {
      this.return = null;
    });
    return this.return;
  }

  async poll() {
    this.say("gone");
    do await pause(POLL_MS);
    while (!(await this.isThere()));
    this.say("there");
  }

  // A server frees what a page holds when this stream ends, and Gradio's client opens it only once:
  // to be called when a server has not known the page.
  async keepAlive() {
    const { answer } = await this.attempt(this.root + "/gradio_api/heartbeat/" + this.page);
    const reader = answer?.body?.getReader();
    while (reader && !(await reader.read().catch(() => ({ done: true }))).done);
  }

  // Any answer will do, but for a proxy's that it found no server.
  async isThere() {
    const { answer } = await this.attempt(this.root + "/health", { cache: "no-store" });
    return answer !== undefined && !GONE.has(answer.status);
  }

  say(state) {
    if (state === this.state) return;
    this.state = state;
    this.changed(state);
  }
}

function readerOf(answer) {
  return answer?.ok ? answer.body.pipeThrough(new TextDecoderStream()).getReader() : null;
}

function isStream(answer) {
  return answer.headers.get("Content-Type")?.startsWith(EVENT_STREAM);
}

function messageIn(text) {
  try {
    return JSON.parse(text.replace(/^data:/, ""));
  } catch {
    return {};
  }
}

function messageOf(message) {
  return "data: " + JSON.stringify(message) + "\n\n";
}

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

// A gapless subscriber for Node.js, written from hudd/wire/PROTOCOL.md 2.5.
// Usage: node subscriber.mjs RUNTIME_FOLDER COUNT [AFTER]   prints COUNT notes, one JSON object a line.
import { randomBytes } from "node:crypto";
import { Dealer, Subscriber } from "zeromq";

const [folder, count, after] = [process.argv[2], Number(process.argv[3]), process.argv[4]];
const welcome = `welcome/${randomBytes(8).toString("hex")}/`;

const notes = new Subscriber({ linger: 0 });
const control = new Dealer({ linger: 0, sendTimeout: 5000, receiveTimeout: 5000, immediate: true });
notes.connect(`ipc://${folder}/notes.sock`);
control.connect(`ipc://${folder}/ctl.sock`);
notes.subscribe("note/");
notes.subscribe("hb/");
notes.subscribe(welcome);

const PASSING = new Set(["E_BUSY", "E_DEADLINE", "E_STATE", "E_STORAGE"]);
let stream = null;
let instance = null; // whose welcome came last
let held = 0; // with all topics in one order of seq, one number is the cursor
let printed = 0;
let lastId = 0;

function handle(note) {
  if (note.seq <= held || printed >= count) return;
  held = note.seq;
  printed += 1;
  console.log(JSON.stringify({ seq: note.seq, text: note.text }));
}

// The result; null when it has to be asked for again: no answer within 5 s, or a refusal that passes.
async function call(method, params) {
  const id = ++lastId;
  const request = { jsonrpc: "2.0", id, method, params: { ...params, deadline_ms: 5000 } };
  let frames;
  try {
    await control.send(["", JSON.stringify(request)]);
    do {
      frames = await control.receive();
    } while (JSON.parse(frames[frames.length - 1].toString()).id !== id); // others belong to calls that were given up
  } catch (error) {
    if (error.code === "EAGAIN") return null;
    throw error;
  }
  const reply = JSON.parse(frames[frames.length - 1].toString());
  if (reply.error && !PASSING.has(reply.error.data.code)) {
    throw new Error(`${reply.error.data.code}: ${reply.error.message}`);
  }
  if (reply.error) await new Promise((done) => setTimeout(done, 200));
  return reply.error ? null : reply.result;
}

async function fill(wanted) {
  for (;;) {
    const page = await call("notes.since", { stream, seq: held, topic_prefix: "note/" });
    if (page === null) continue;
    if (page.stream !== stream) {
      stream = page.stream; // the journal was replaced meanwhile
      held = 0;
      wanted = 0;
      continue;
    }
    page.notes.forEach(handle);
    if (page.more) continue;
    if (printed < count) held = Math.max(held, wanted); // announced and not there: gone
    return;
  }
}

for await (const [topicFrame, bodyFrame] of notes) {
  const topic = topicFrame.toString();
  const body = JSON.parse(bodyFrame.toString());
  if (topic === welcome || topic === "hb/") {
    const newest = Math.max(0, ...Object.values(body.heads));
    if (stream === null && topic === welcome) {
      stream = body.stream;
      held = after === undefined ? newest : Number(after);
      console.error("ready");
    } else if (stream !== null && stream !== body.stream) {
      stream = body.stream;
      held = 0;
    }
    if (topic === welcome && body.instance !== instance) {
      instance = body.instance;
      if (newest > 0 && newest < held) {
        console.error("an older copy of the journal was put back");
        held = newest;
      }
    }
    if (stream !== null && newest > held) await fill(newest);
  } else if (stream !== null && topic.startsWith("note/")) {
    if (body.stream === stream && body.seq === held + 1) handle(body);
    else if (body.stream !== stream || body.seq > held) await fill(body.stream === stream ? body.seq : 0);
  }
  if (printed >= count) break;
}
notes.close();
control.close();

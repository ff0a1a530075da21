// The sandbox's HTTP: one POST per act, and a live feed that reconnects by itself.

export class Refused extends Error {}

const REASONS = {
  app_did_not_respond: "Footnote did not respond. Is the bot running?",
  command_not_supported_in_threads: "Slash commands do not work in threads. Use the channel.",
  unknown_command: "There is no such command.",
  not_in_channel: "You are not in this channel.",
  is_archived: "This channel is archived: nothing can be written in it.",
  cant_leave_general: "Everybody is in #general; nobody leaves it.",
  cant_archive_general: "#general cannot be archived.",
};

async function read(answer) {
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(REASONS[body.error] ?? `That did not work: ${body.error ?? answer.status}`);
  return body;
}

export async function send(path, body) {
  const request = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  return read(await fetch(`/sandbox/${path}`, request));
}

export async function upload(fields, file) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) if (value) form.append(name, value);
  form.append("file", file);
  return read(await fetch("/sandbox/files", { method: "POST", body: form }));
}

export function follow(user, onChange, onLost) {
  let socket;
  let closed = false;
  const open = () => {
    socket = new WebSocket(`ws://${location.host}/sandbox/live?user=${encodeURIComponent(user)}`);
    socket.addEventListener("message", (event) => onChange(JSON.parse(event.data)));
    socket.addEventListener("close", () => {
      if (closed) return;
      onLost();
      setTimeout(open, 1000);
    });
  };
  open();
  return () => {
    closed = true;
    socket.close();
  };
}

// Hello answers on a port inside an enclave, and asks troth's agent for what only the agent can give.
import http from "node:http";
import { pathToFileURL } from "node:url";

const AGENT = "/run/troth/agent.sock";
const MOST_ANSWER = 1 << 20;
const STATEMENT = "hello from node"; // what the evidence vouches for

// The agent's status and answer; without a body it is a GET.
export function ask(socketPath, path, body) {
    return new Promise((resolve, reject) => {
        const request = http.request({
            socketPath,
            path,
            method: body ? "POST" : "GET",
            headers: body ? { "content-type": "application/json", "content-length": body.length } : {},
            timeout: 30_000,
        });
        request.on("timeout", () => request.destroy(new Error("the agent is silent")));
        request.on("error", reject);
        request.on("response", (answer) => {
            const pieces = [];
            let size = 0;
            answer.on("error", reject);
            answer.on("data", (piece) => {
                size += piece.length;
                if (size > MOST_ANSWER) request.destroy(new Error("the agent says too much"));
                else pieces.push(piece);
            });
            answer.on("end", () => resolve([answer.statusCode, Buffer.concat(pieces).toString()]));
        });
        request.end(body);
    });
}

export function service(socketPath) {
    const answer = async (method, url) => {
        const evidence = /^\/evidence\/((?:[0-9a-f]{2})+)$/i.exec(url);
        if (method !== "GET") return [405, "only GET is answered"];
        if (url === "/") {
            const [status, info] = await ask(socketPath, "/v1/info");
            return [status, `${STATEMENT}: ${info}`];
        }
        if (url === "/random") return ask(socketPath, "/v1/random", '{"size":16}');
        if (url === "/identity") return ask(socketPath, "/v1/identity");
        if (evidence) {
            const body = { nonce: evidence[1].toLowerCase(), app_data: Buffer.from(STATEMENT).toString("hex") };
            return ask(socketPath, "/v1/attest", JSON.stringify(body));
        }
        if (url.startsWith("/evidence/")) return [400, "the nonce is not hex"];
        return [404, "places: / /random /identity /evidence/NONCE"];
    };
    return http.createServer(async (request, response) => {
        const [status, body] = await answer(request.method, request.url).catch(() => [
            502,
            "the agent does not answer",
        ]);
        response.writeHead(status, { "content-type": "text/plain; charset=utf-8" });
        response.end(`${body}\n`);
    });
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) service(AGENT).listen(8080, "127.0.0.1");

// The application of `dialects.py` for Vercel's AI SDK: makes the calls and prints call → trace id as JSON.
//
//     node dialects_app.mjs '{"service": "...", "endpoint": "...", "openai_url": "...", "anthropic_url": "...", "calls": []}'
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { trace } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import { embed, generateText, jsonSchema, streamText, tool } from "ai";

const job = JSON.parse(process.argv[2]);
const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({ "service.name": job.service }),
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url: `${job.endpoint}/v1/traces` }))],
});
provider.register();
const openai = createOpenAI({ baseURL: job.openai_url, apiKey: "none" });
const anthropic = createAnthropic({ baseURL: `${job.anthropic_url}/v1`, apiKey: "none" });
const models = { chat: openai.chat, responses: openai.responses, messages: anthropic };

async function make(call) {
  const experimental_telemetry = { isEnabled: true };
  const shared = { maxRetries: 0, experimental_telemetry };
  if (call.api === "embeddings") {
    await embed({ ...shared, model: openai.embedding(call.model), value: call.text });
    return;
  }
  const tools = Object.fromEntries(
    call.tools.map(({ name, description, schema }) => [name, tool({ description, inputSchema: jsonSchema(schema) })]),
  );
  const request = { ...shared, model: models[call.api](call.model), system: call.system, prompt: call.text };
  Object.assign(request, call.tools.length ? { tools } : {}, call.limit ? { maxOutputTokens: call.limit } : {});
  if (!call.stream) {
    await generateText(request);
    return;
  }
  for await (const _ of streamText(request).textStream);
}

const traces = {};
for (const call of job.calls) {
  await trace.getTracer("app").startActiveSpan("request", async (span) => {
    traces[call.name] = span.spanContext().traceId;
    try {
      await make(call);
    } catch (error) {
      if (!call.fails) throw error;
    } finally {
      span.end();
    }
  });
}
await provider.forceFlush();
console.log(`worked: ${JSON.stringify(traces)}`);
process.exit(0);

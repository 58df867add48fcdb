// Acervo turns a folder of documents into a library that answers questions,
// with a citation for every claim. This comment is the tour of its code.
//
// # The packages
//
//	cmd/acervo         the program: commands, configuration, and the one place that builds every part (wire.go)
//	cmd/acervo-eval    measures retrieval on XQuAD in a haystack
//	ingest             keeps the index equal to the folder; owns the ledger, corpus.db
//	ingest/parse       turns a file into text whose places are known
//	ingest/worker      runs the parsers in a process of their own
//	ingest/sidecar     runs the engines that read pictures and hear recordings
//	ingest/subprocess  starts the processes of both, and ends them with all that they have started
//	hwplan             decides which model computes where, and lends out the memory
//	retrieval          owns the index, index.db: stores chunks, finds those that answer a query
//	retrieval/answer   turns a question and the index into a streamed, cited answer; owns chats.db
//	retrieval/chromem  the vector store, chromem-go in memory
//	retrieval/ollama   embedding and chat through an Ollama server
//	retrieval/openai   the same through any OpenAI-compatible server
//	server             speaks HTTP for the program
//	web                the page
//
// Leaves import nothing of ours: hwplan, retrieval, ingest/parse, ingest/subprocess, web. Ingest and
// retrieval meet in one direction: ingest imports retrieval, which never learns
// what a file is. Adapters (chromem, ollama, openai, worker, sidecar) import the package
// whose interface they satisfy, and nobody imports an adapter but cmd.
// imports_test.go holds these rules, so a new arrow is a decision.
//
// # A file becomes searchable
//
// [ingest.Corpus] looks at the folder when an event hints at it, when it
// starts, and every five minutes; only the look counts. A file that has been
// quiet for watch.settle is hashed, and its content is the document: the same
// content at two paths is one document, and a rename changes only paths. A new
// content becomes a Queued row of the ledger; the queue is the set of such
// rows. A worker process parses it ([parse.Registry]), chunks are cut by
// structure first, and [retrieval.Index.Replace] makes it findable by its
// words. An edited file is built beside the old version, then switched.
//
// A page without usable text is read by [ingest.OCR] from its picture, after the
// rest of its document was indexed; each page read is kept in cache/ocr. Of a HEIC
// photo a picture that [ingest.Decoder] makes, kept in cache/photos for a while, is
// read in its place. A recording
// is only known for one by its reader; [ingest.Transcriber] hears it,
// window by window. What is heard is kept in cache/speech and findable at once, and
// its chunks are cut where people pause, each with the seconds it is said at.
//
// Vectors follow: [retrieval.Index.Run] embeds whatever has none, questions
// going first. They are kept by model and text, so an edit embeds what is new,
// a restore nothing, and an absent embedder holds no document back. A probe
// text, embedded again at each start, tells whether the engine still speaks of
// the same space.
//
// # A question becomes a cited answer
//
// [answer.Answerer.Ask] makes a follow-up standalone, searches (words and
// vectors at once, fused with the languages of question and passage in mind),
// abstains when nothing bears on the question, numbers the passages, marks them
// as quoted material, streams the model's words and ties each [n] to its
// passage. Without a model, or when it fails, it quotes the best sentences.
// One stream of events is rendered as JSON or server-sent events by server.
//
// # A model gets its memory
//
// [hwplan.Keeper] reads the machine, asks Ollama for the tensors of its models,
// and makes a plan ([hwplan.Fit], pure). [hwplan.Planner] lends the plan's memory:
// retrieval/ollama holds a [hwplan.Grant] for as long as a model is loaded, loads
// it with the plan's options and no others, tells the keeper what the load really
// took, and unloads it when its grant is wanted. The keeper plans anew after a
// load that failed or spilled, when other programs take the card or it is lost;
// a new plan takes force when those it moves have given their memory back. It
// also watches heat and battery, and slows background work down (Pacer). Only what
// an Ollama on this machine runs is planned; the domain packages never see VRAM.
//
// # Commands
//
// Every command but serve, plan, setup, doctor and version is a client of the HTTP API: of
// the server that runs on the same data directory, or of one that the command
// starts within itself over a pipe (client.go, serve.go). A lock keeps a second
// program off the data. Only setup fetches anything from the network that is not a
// model server: packages ([sidecar.Build]) and models ([sidecar.Hub.Fetch]).
//
// # What must stay true
//
//  1. Besides the folder only corpus.db, index.db and chats.db are durable;
//     losing the first two loses only time. The lexical index and all caches
//     are derived.
//  2. Every chunk in the index belongs to a source in the ledger, and has its
//     vectors or is on the list of those without.
//  3. A citation's number is in the prompt that produced it, and its text in
//     the document.
//  4. Only server, the adapters and cmd open sockets or start processes. Files
//     of the folder are opened through one os.Root, in a worker process.
//  5. A document's failure never stops the corpus; a broken database stops the
//     program, in words.
//  6. Nothing runs that nobody waits for: Run returns with no goroutine and no
//     child process left.
//  7. The order of writes makes kill -9 harmless at any point: index before
//     ledger when something is added, ledger before index when it goes; what
//     was interrupted is Queued, and doing it again is the same.
package main

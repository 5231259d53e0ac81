// Package protocol speaks Kafka's wire protocol: connections, one file per
// API, and the sending of log bytes without copying them.
//
//	socket ─► frames ─► api (one table) ─► handler ─► answer ─► sender ─► socket
//	                                          │          │
//	                                          │          └► line, if it has to wait
//	                                          └► replication.Node
//
// # A connection
//
// One goroutine reads requests, handles them and, as long as every answer is
// ready at once, writes the answers too: no hand-over between goroutines. While
// more whole requests lie in the read buffer, answers are gathered and leave in
// one write. Only when an answer has to wait (a Produce for the disk, a Fetch
// for data) is a second goroutine started, which waits for the answers in the
// order of their requests and sends them. Produce requests go on being appended
// meanwhile, up to [maxWaiting]; any other request is handled only when all
// before it are answered, as Kafka does it, so that a connection never holds
// more than one answer of theirs.
//
// # Bounds
//
// A frame's length is checked before anything is read, its memory is taken from
// one budget for all connections, and grows with the bytes that arrive. A
// connection that waits for its next request holds no buffer. See [Limits].
//
// # Errors
//
// Kafka's error codes exist in this package alone, in one map (errors.go).
package protocol

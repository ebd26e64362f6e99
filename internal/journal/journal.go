// Package journal keeps what must survive a crash: what commands opened and when it is to be closed, and which one-time
// sequences were used. Grants of native doors are not here: the kernel keeps and closes them.
//
// Intent is on disk before the act. What to do with what a journal says at start belongs to package daemon.
package journal

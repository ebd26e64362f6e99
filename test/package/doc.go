// Package packages holds the tests of what is given to others: packages, units, completions, images and the commands of
// the guides, each in a Debian root of its own.
//
// What the programs do belongs to the tests beside them; here is whether they arrive whole, replace what was there, and
// leave no more than they should. Before the first test the packages are built and a Debian bookworm is made with
// mmdebstrap; each test then lays a layer of its own over it. KNOCKD_TEST_ROOT names a Debian made earlier, for whoever
// runs these tests often.
package packages

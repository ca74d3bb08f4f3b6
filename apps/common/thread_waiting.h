// How the threads of the team wait between two pieces of work: awake for a moment, then asleep.
#pragma once

namespace blalm {

// GNU's OpenMP keeps a waiting thread awake for about ten milliseconds. That helps a little while every thread has a
// processor of its own, and costs two to six times the time where another program or a quota takes one away. This sets
// a short wait instead (GOMP_SPINCOUNT, KMP_BLOCKTIME), unless the environment says how to wait. Call it first thing in
// main: libgomp reads its environment when it is loaded, so the program starts itself anew, once.
void wait_briefly(char** argv);

}  // namespace blalm

import Glibc
import Testing

@testable import CulvertIO

@Suite struct SignalTests {
    /// A process of its own: what it ignores and blocks is the whole process's.
    @Test func whatTheProcessWasStartedToIgnoreStaysIgnored() async {
        await #expect(processExitsWith: .success) {
            signal(SIGHUP, SIG_IGN)
            let source = try SignalSource([SIGHUP, SIGUSR1])
            raise(SIGHUP)
            raise(SIGUSR1)
            precondition(source.next() == SIGUSR1, "the other one comes")
            precondition(source.next() == nil, "the ignored one does not")
        }
    }
}

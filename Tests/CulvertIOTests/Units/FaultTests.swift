import Glibc
import Testing

@testable import CulvertIO

/// Processes that are at fault, each a real one that ends by it.
@Suite struct FaultTests {
    private static func install() { ProcessFaults.endAtOnce(program: "tested", version: "1.2.3") }

    /// Runs `body` on a thread of ours, for ever.
    private static func onThread(_ body: @escaping @Sendable () -> Void) throws {
        try Thread.start(name: "at-fault", body)
        while true { pause() }
    }

    /// The only line of ours, which says `signal` and `place`.
    private static func expectOneLine(_ result: ExitTest.Result, _ signal: String, in thread: String? = nil) {
        let text = String(decoding: result.standardErrorContent, as: UTF8.self)
        let lines = text.split(separator: "\n").filter { $0.hasPrefix("tested: ") }
        #expect(lines.count == 1, "\(text)")
        let line = lines.first.map(String.init) ?? ""
        #expect(line.hasPrefix("tested: \(signal) "), "\(line)")
        #expect(line.contains(" 0x"), "an address in the program: \(line)")
        #expect(line.hasSuffix(", version 1.2.3: this is a fault in tested: please report it"), "\(line)")
        if let thread { #expect(line.contains(" in thread \(thread), "), "\(line)") }
    }

    /// Whatever trap the compiler makes of it, and without asking what it is.
    private static func trap() {
        let none: [Int] = []
        precondition(none[Int(getpid())] == 0, "never asked")
    }

    private static func overflow(_ depth: Int) -> Int {
        withUnsafeTemporaryAllocation(of: Int.self, capacity: 64) { room in
            room[0] = depth
            return depth == Int.max ? 0 : overflow(depth + 1) + room[0] % 2
        }
    }

    private static func touch(_ address: UInt) -> UInt8 { UnsafePointer<UInt8>(bitPattern: address)!.pointee }

    @Test func aTrapEndsIt() async throws {
        let first = try await #require(
            processExitsWith: .exitCode(70), observing: [\.standardErrorContent]
        ) {
            Self.install()
            Self.trap()
        }
        let other = try await #require(
            processExitsWith: .exitCode(70), observing: [\.standardErrorContent]
        ) {
            Self.install()
            try Self.onThread(Self.trap)
        }
        #if arch(x86_64)
            Self.expectOneLine(first, "SIGILL")
            Self.expectOneLine(other, "SIGILL", in: "at-fault")
        #else
            Self.expectOneLine(first, "SIGTRAP")
            Self.expectOneLine(other, "SIGTRAP", in: "at-fault")
        #endif
    }

    @Test func anOverflowOfTheStackEndsIt() async throws {
        let first = try await #require(
            processExitsWith: .exitCode(70), observing: [\.standardErrorContent]
        ) {
            Self.install()
            _ = Self.overflow(0)
        }
        Self.expectOneLine(first, "SIGSEGV")
        let other = try await #require(
            processExitsWith: .exitCode(70), observing: [\.standardErrorContent]
        ) {
            Self.install()
            try Self.onThread { _ = Self.overflow(0) }
        }
        Self.expectOneLine(other, "SIGSEGV", in: "at-fault")
    }

    @Test func memoryThatIsNotThereEndsIt() async throws {
        let first = try await #require(
            processExitsWith: .exitCode(70), observing: [\.standardErrorContent]
        ) {
            Self.install()
            _ = Self.touch(64)
        }
        Self.expectOneLine(first, "SIGSEGV")
        let other = try await #require(
            processExitsWith: .exitCode(70), observing: [\.standardErrorContent]
        ) {
            Self.install()
            try Self.onThread { _ = Self.touch(64) }
        }
        Self.expectOneLine(other, "SIGSEGV", in: "at-fault")
    }

    @Test func anAssertionOfALibraryEndsIt() async throws {
        let result = try await #require(
            processExitsWith: .exitCode(70), observing: [\.standardErrorContent]
        ) {
            Self.install()
            try Self.onThread { abort() }
        }
        Self.expectOneLine(result, "SIGABRT", in: "at-fault")
    }

    @Test func faultsOfSeveralThreadsAreOneLine() async throws {
        let result = try await #require(
            processExitsWith: .exitCode(70), observing: [\.standardErrorContent]
        ) {
            Self.install()
            for _ in 0..<8 { try Thread.start(name: "at-fault") { _ = Self.touch(64) } }
            while true { pause() }
        }
        Self.expectOneLine(result, "SIGSEGV", in: "at-fault")
    }

    @Test("standard error that nobody reads does not keep it", .timeLimit(.minutes(1)))
    func fullPipe() async {
        await #expect(processExitsWith: .exitCode(70)) {
            var ends: [Int32] = [0, 0]
            precondition(pipe(&ends) == 0 && fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0, "a pipe")
            let block = [UInt8](repeating: 0, count: 4096)
            while write(ends[1], block, block.count) > 0 {}
            precondition(fcntl(ends[1], F_SETFL, 0) == 0 && dup2(ends[1], STDERR_FILENO) >= 0, "it is standard error")
            Self.install()
            // The runtime's own line would wait for ever.
            _ = Self.touch(64)
        }
    }

    @Test func theLogIsToldToo() async throws {
        // Standard output stands for the file of a log.
        let result = try await #require(
            processExitsWith: .exitCode(70), observing: [\.standardErrorContent, \.standardOutputContent]
        ) {
            Self.install()
            ProcessFaults.alsoTell(STDOUT_FILENO)
            _ = Self.touch(64)
        }
        Self.expectOneLine(result, "SIGSEGV")
        let log = String(decoding: result.standardOutputContent, as: UTF8.self)
        #expect(log.contains("tested: SIGSEGV "), "\(log)")
    }

    @Test("a developer's variable leaves the handlers as they are")
    func variable() async {
        await #expect(processExitsWith: .success) {
            func handler() -> UInt {
                var action = sigaction()
                sigaction(SIGSEGV, nil, &action)
                return unsafeBitCast(action.__sigaction_handler.sa_sigaction, to: UInt.self)
            }
            let before = handler()
            setenv("CULVERT_BACKTRACE", "1", 1)
            Self.install()
            precondition(handler() == before, "the variable is honoured")
            setenv("CULVERT_BACKTRACE", "0", 1)
            Self.install()
            precondition(handler() != before, "0 is none")
        }
    }
}

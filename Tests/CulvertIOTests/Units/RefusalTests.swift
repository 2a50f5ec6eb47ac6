import CLinux
import CulvertIO
import Testing

/// What the kernel refuses in the middle of things ends a turn with an error, and never the program.
@Suite struct RefusalTests {
    @Test("what epoll will not watch is an error of the next turn")
    func epollRefuses() throws {
        // Epolls that watch epolls, deeper than the kernel allows (ELOOP): of the same kind as ENOSPC and ENOMEM, which a
        // test cannot bring about for itself alone.
        var chain: [Descriptor] = []
        defer { for descriptor in chain { _ = culvert_close(descriptor) } }
        for _ in 0..<6 {
            let next = culvert_epoll_create()
            try #require(next >= 0)
            if let last = chain.last, culvert_epoll_control(next, 1, last, CULVERT_IN, 0) != 0 {
                _ = culvert_close(next)
                break
            }
            chain.append(next)
        }
        try #require(chain.count > 3)
        var driver = try EpollDriver(descriptorLimit: 1024)
        driver.awaitReadable(try #require(chain.last), Token(operation: 1, slot: 0, generation: 1))
        var thrown: IOError?
        do throws(IOError) { try driver.turn(until: driver.now) } catch { thrown = error }
        #expect(thrown?.description.hasPrefix("epoll_ctl: ") == true, "\(String(describing: thrown))")
    }

    @Test("a ring that was made is tried before it is chosen")
    func ringWorks() throws {
        guard (try? UringDriver(descriptorLimit: 64)) != nil else { return }
        let kind = try DriverKind.choose(nil) { Issue.record("\($0)") }
        #expect(kind == .uring)
    }
}

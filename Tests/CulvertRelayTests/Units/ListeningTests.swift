import CulvertIO
import CulvertPlan
import Glibc
import Testing

@testable import CulvertRelay

@Suite struct ListeningTests {
    /// A crash between the two is no clean end for them.
    @Test("a connection that comes before a worker has its listener is reset when nobody ends it")
    func early() throws {
        let forward = LocalForward(
            listen: .loopback(port: 0), target: .tcp(host: "db", port: 5432), text: "-L 0:db:5432")
        for (listener, address) in try Listening.open(forward, family: .any) {
            defer { close(listener) }
            let near = try BlockingSocket.connect(to: address, from: nil, deadline: .current() + .seconds(5)).release()
            defer { close(near) }
            #expect(Wait.forReadable([listener], until: .current() + .seconds(5)) == [listener])
            let accepted = accept(listener, nil, nil)
            #expect(accepted >= 0)
            close(accepted)
            #expect(Wait.forReadable([near], until: .current() + .seconds(5)) == [near])
            var byte: UInt8 = 0
            #expect(recv(near, &byte, 1, 0) == -1 && errno == ECONNRESET, "\(address)")
        }
    }
}

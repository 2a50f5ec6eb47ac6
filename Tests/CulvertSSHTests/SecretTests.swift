import Testing

@testable import CulvertSSH

@Suite struct SecretTests {
    private func bytes(_ secret: Secret) -> [UInt8] { secret.withBytes { Array($0) } }

    @Test(arguments: [0, 1, 4095, 4096, 4097, 100_000])
    func holdsWhatItWasGiven(_ count: Int) {
        var source = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let copy = source
        #expect(bytes(secret(source)) == copy)
        #expect(bytes(Secret(wiping: &source)) == copy)
        #expect(source == [UInt8](repeating: 0, count: count), "the caller's copy is gone")
    }

    @Test func isAsLongAsWhatWasPutIntoIt() {
        let secret = Secret(capacity: 100) { memory in
            #expect(memory.count == 100)
            memory[0] = 7
            memory[1] = 8
            return 2
        }
        #expect(bytes(secret) == [7, 8])
    }

    @Test func whatGoesWrongWhileItIsFilledIsThrown() {
        struct Wrong: Error, Equatable {}
        #expect(throws: Wrong()) {
            try Secret(capacity: 10) { _ throws(Wrong) in throw Wrong() }
        }
    }

    @Test func neverEndsBehindItsMemory() async {
        await #expect(processExitsWith: .failure) { _ = Secret(capacity: 10) { _ in 11 } }
    }
}

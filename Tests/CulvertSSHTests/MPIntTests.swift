import Testing

@testable import CulvertSSH

@Suite struct MPIntTests {
    private func read(_ content: [UInt8]) throws -> [UInt8] {
        try Script.string(content).withUnsafeBytes { bytes in
            var reader = WireReader(start: bytes.baseAddress!, count: bytes.count, of: "TEST")
            return Array(try reader.mpint(of: "TEST"))
        }
    }

    private func written(_ magnitude: [UInt8]) -> [UInt8] {
        [UInt8](wire: 4096) { writer in magnitude.withUnsafeBytes { writer.mpint($0) } }
    }

    /// The examples of RFC 4251 §5, and the edges.
    @Test(
        arguments: [
            ([], []),
            ([0x09, 0xa3, 0x78, 0xf9, 0xb2, 0xe3, 0x32, 0xa7], [0x09, 0xa3, 0x78, 0xf9, 0xb2, 0xe3, 0x32, 0xa7]),
            ([0x00, 0x80], [0x80]), ([0x7f], [0x7f]), ([0x00, 0xff, 0xff], [0xff, 0xff]),
            ([0x01, 0x00], [0x01, 0x00]),
        ] as [([UInt8], [UInt8])])
    func bothWays(_ content: [UInt8], _ magnitude: [UInt8]) throws {
        #expect(try read(content) == magnitude)
        #expect(written(magnitude) == Script.string(content))
        #expect(written([0, 0, 0] + magnitude) == Script.string(content))
    }

    @Test(
        arguments: [
            [0x80], [0xed, 0xcc], [0xff], [0x00], [0x00, 0x7f], [0x00, 0x00, 0x80],
            [UInt8](repeating: 1, count: MPInt.maximumLength + 1),
        ] as [[UInt8]])
    func whatIsNegativeOrNotShortestThrows(_ content: [UInt8]) {
        let error = #expect(throws: SSHError.self) { try read(content) }
        #expect(error?.kind == .protocolViolation)
    }
}

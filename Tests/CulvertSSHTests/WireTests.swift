import Testing

@testable import CulvertSSH

@Suite struct WireTests {
    private func withReader(_ bytes: [UInt8], _ body: (inout WireReader) throws -> Void) throws {
        // A copy of exactly this length: a read past it is seen by the address sanitizer.
        let memory = UnsafeMutableRawPointer.allocate(byteCount: max(1, bytes.count), alignment: 1)
        defer { memory.deallocate() }
        memory.copyMemory(from: bytes, byteCount: bytes.count)
        var reader = WireReader(start: memory, count: bytes.count, of: "TEST")
        try body(&reader)
    }

    @Test func everyTypeComesBackAsItWasWritten() throws {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 256, alignment: 1)
        defer { memory.deallocate() }
        var writer = WireWriter(start: memory, capacity: 256)
        writer.byte(0xfe)
        writer.boolean(true)
        writer.boolean(false)
        writer.uint32(0x0102_0304)
        writer.uint64(0x0102_0304_0506_0708)
        writer.string("grün")
        writer.string("static" as StaticString)
        writer.string("" as String)
        let bytes = Array(writer.bytes)
        #expect(Array(bytes.prefix(7)) == [0xfe, 1, 0, 1, 2, 3, 4])
        try withReader(bytes) { reader throws in
            #expect(try reader.byte() == 0xfe)
            #expect(try reader.boolean())
            #expect(try !reader.boolean())
            #expect(try reader.uint32() == 0x0102_0304)
            #expect(try reader.uint64() == 0x0102_0304_0506_0708)
            #expect(try String(decoding: reader.string(), as: UTF8.self) == "grün")
            #expect(try String(decoding: reader.string(), as: UTF8.self) == "static")
            #expect(try reader.string().isEmpty)
            #expect(throws: Never.self) { try reader.end() }
            #expect(throws: SSHError.self) { _ = try reader.byte() }
        }
    }

    @Test func everyOddByteIsTrue() throws {
        try withReader([0xff]) { reader throws in #expect(try reader.boolean()) }
    }

    @Test(
        arguments: [
            [0xff, 0xff, 0xff, 0xff], [0x7f, 0xff, 0xff, 0xff, 1], [0, 0, 0, 2, 1], [0, 0, 0, 1], [0, 0, 0], [],
        ] as [[UInt8]])
    func aStringLongerThanItsMessageThrows(_ bytes: [UInt8]) throws {
        try withReader(bytes) { reader in
            #expect(throws: SSHError.self) { _ = try reader.string() }
        }
    }

    @Test func bytesThatAreLeftThrow() throws {
        try withReader([1]) { reader in
            let error = #expect(throws: SSHError.self) { try reader.end() }
            #expect(error?.kind == .protocolViolation)
        }
    }

    @Test func aMessageThatOutgrowsItsRoomIsOurFault() async {
        await #expect(processExitsWith: .failure) {
            let memory = UnsafeMutableRawPointer.allocate(byteCount: 8, alignment: 1)
            var writer = WireWriter(start: memory, capacity: 3)
            writer.uint32(1)
        }
    }
}

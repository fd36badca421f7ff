// Three functions that the vendor's framework serves for test.mjs.
'use strict'

exports.hello = event => ({greeting: `Hello, ${event.name}`})

exports.fails = () => { throw new Error('user code exception caught') }

exports.slow = () => new Promise(done => setTimeout(done, 2000, {late: true}))

#!/usr/bin/env node
require("./run.js")("awsso-mcp");
